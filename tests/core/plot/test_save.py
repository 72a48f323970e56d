import re
import subprocess
import sys
import time

import pytest
from PIL import Image

from prune_kit import plot
from prune_kit.errors import PruneKitError, StoreError
from prune_kit.table import ScoreTable

TABLE = ScoreTable([1, 2, 3], [0, 1, 0], {"score": [0.1, 0.2, 0.7]}, {"score": "el2n"})
BEGINNING = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize("kind", BEGINNING)
def test_the_suffix_says_the_kind_and_the_same_figure_gives_the_same_bytes(tmp_path, kind):
    paths = [tmp_path / f"{name}.{kind}" for name in "ab"]
    for i, path in enumerate(paths):
        time.sleep(1.1 * i * (kind != "png"))  # another second: a date inside would differ
        assert plot.save_figure(plot.distribution(TABLE), path) == path
    first, second = (path.read_bytes() for path in paths)
    assert first.startswith(BEGINNING[kind])
    assert first == second


def test_inches_and_pixels(tmp_path):
    plot.save_figure(plot.distribution(TABLE, width=4.0), tmp_path / "a.png", dpi=100)
    with Image.open(tmp_path / "a.png") as image:
        assert image.width == 400


def test_text_of_a_pdf_is_text(tmp_path):
    plot.save_figure(plot.distribution(TABLE), tmp_path / "a.pdf")
    assert b"/CIDFontType2" in (tmp_path / "a.pdf").read_bytes()  # TrueType; Type 3 is pictures of letters


def test_another_suffix(tmp_path):
    with pytest.raises(PruneKitError, match=re.escape("must end in .png, .svg, .pdf; got 'a.jpg'")):
        plot.save_figure(plot.distribution(TABLE), tmp_path / "a.jpg")


def test_what_was_there_stays_where_writing_fails(tmp_path):
    with pytest.raises(StoreError, match="there is no folder"):
        plot.save_figure(plot.distribution(TABLE), tmp_path / "none" / "a.png")
    (tmp_path / "a.png").write_bytes(b"before")
    figure = plot.distribution(TABLE)
    figure.savefig = lambda *args, **kwargs: (_ for _ in ()).throw(OSError("full"))
    with pytest.raises(StoreError, match="full"):
        plot.save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_no_pyplot_no_backend_and_the_settings_of_before(tmp_path):
    done = run(
        "import sys, matplotlib\n"
        "matplotlib.rcParams['font.size'] = 31\n"
        "before = matplotlib.rcParams.copy()\n"
        "from prune_kit import ScoreTable, plot\n"
        "figure = plot.distribution(ScoreTable([1, 2], [0, 1], {'score': [0., 1.]}))\n"
        f"plot.save_figure(figure, {str(tmp_path / 'a.png')!r})\n"
        # Not with ==, which would choose a backend to compare it.
        "get = dict.__getitem__\n"
        "changed = [k for k in before if get(before, k) != get(matplotlib.rcParams, k)]\n"
        "assert changed == [], changed\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    assert done.returncode == 0, done.stderr


def test_importing_loads_no_matplotlib():
    done = run("import sys, prune_kit.plot\nassert 'matplotlib' not in sys.modules")
    assert done.returncode == 0, done.stderr


def test_without_matplotlib_the_line_that_installs_it():
    done = run(
        "import sys\n"
        "sys.modules['matplotlib'] = None\n"
        "from prune_kit import MissingExtraError, ScoreTable, plot\n"
        "try:\n"
        "    plot.distribution(ScoreTable([1], [0], {'score': [0.5]}))\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n"
    )
    assert 'pip install "prune-kit[plot]"' in done.stdout, done.stderr
