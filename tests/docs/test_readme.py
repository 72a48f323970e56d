"""The README is tested: its code runs, its commands exist, its links lead somewhere."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from prune_kit_cli.main import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
SHELL = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("code", PYTHON, ids=["core on saved logits", "adapter in a loop"])
def test_code_runs_as_it_stands_and_is_about_ten_lines(code, tmp_path):
    assert len(code.splitlines()) <= 12
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_first_command_does_the_main_job(tmp_path, monkeypatch):
    """What follows `pip install` in the first command, with fewer seeds to be quick."""
    monkeypatch.chdir(tmp_path)
    steps = [shlex.split(step) for step in SHELL[0].replace("\\\n", " ").split("&&")]
    assert steps[0][:2] == ["pip", "install"]
    assert [step[:2] for step in steps[1:]] == [
        ["prunekit", name] for name in ("score", "aggregate", "prune")
    ]
    for step in steps[1:]:
        fewer = ["--seeds", "2", "--epochs", "2"] if step[1] == "score" else []
        done = CliRunner().invoke(cli, step[1:] + fewer)
        assert done.exit_code == 0, done.output
    assert (tmp_path / "kept.parquet").exists()


def test_the_test_command_is_marked_for_the_gate():
    after = README.split("<!-- test command -->\n```bash\n")[1]
    assert after.split("```")[0].strip() == 'pip install -c constraints.txt -e ".[test]" && pytest -n auto'


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_stands_in_the_readme(name):
    assert f"prunekit {name}" in README


def test_every_command_line_of_the_readme_is_one_that_the_command_takes():
    lines = [line.split("#")[0] for block in SHELL for line in block.replace("\\\n", " ").splitlines()]
    calls = [shlex.split(part) for line in lines for part in line.split("&&") if "prunekit " in part]
    assert len(calls) >= 8
    for call in calls:
        command = cli.commands[call[1]]
        command.make_context(call[1], call[2:])


def test_files_that_the_readme_links_to_are_there():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
