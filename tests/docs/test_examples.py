"""Every example runs as it stands."""

import subprocess
import sys
from pathlib import Path

import pytest

# What examples share is no example.
EXAMPLES = sorted(
    path for path in (Path(__file__).parents[2] / "examples").glob("*.py") if path.stem != "figures_common"
)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example), "--quick"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    if example.stem.startswith("figure"):
        (picture,) = tmp_path.glob("out/**/*.png")
        assert picture.stat().st_size > 5_000
        assert picture.with_suffix(".csv").read_text(encoding="utf-8").count("\n") > 2


def test_there_are_examples():
    assert {path.stem for path in EXAMPLES} >= {"digits_half", "saved_logits", "existing_loop"}


def test_the_kits_lines_in_an_existing_loop_are_marked_and_at_most_five():
    for name in ("existing_loop", "ddp_digits", "keras_custom_loop"):
        code = next(path for path in EXAMPLES if path.stem == name).read_text(encoding="utf-8")
        loop = code[: code.index("def prune(" if "def prune(" in code else "def main(")]
        marked = [line for line in loop.splitlines() if "# the kit" in line]
        used = [line for line in loop.splitlines() if "pkt" in line or "recorder." in line]
        assert used == marked
        assert len(marked) <= 5
