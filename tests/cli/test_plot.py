import itertools
import json

import click
import numpy as np
import pytest
from PIL import Image

from prune_kit.column_files import write_columns
from prune_kit.dynamics_files import VELOCITY_TYPES
from prune_kit.store import Run
from prune_kit.table import ScoreTable
from prune_kit_cli.main import cli

N = 40


@pytest.fixture
def made(prunekit, tmp_path):
    """A run, its scores and the images that were scored."""
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 2
    config = {"scores": ["el2n"], "class_names": ["cat", "dog"]}
    with Run.start("run", config=config, seeds=range(2), epochs=[0, 1], made_with={}) as run:
        for seed, epoch in itertools.product(range(2), range(2)):
            columns = {
                "el2n": rng.random(N).astype(np.float32),
                "predicted": labels,
                "p_label": rng.random(N).astype(np.float32),
            }
            run.write_part(seed, epoch, ScoreTable(np.arange(N), labels, columns))
    prunekit("aggregate", "run", "--out", "scores.parquet")
    np.savez("data.npz", x=rng.integers(0, 255, (N, 6, 6, 3)).astype(np.uint8), y=labels)
    return tmp_path


CALLS = {
    "distribution": ("run:el2n@0", "run", "scores.parquet"),
    "epochs": ("run",),
    "gallery": ("scores.parquet", "--data", "data.npz"),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_figure_of_the_width_asked_for(prunekit, made, name, kind):
    result = prunekit("plot", name, *CALLS[name], "--width", "4", "--out", f"figure.{kind}", "--json")
    told = json.loads(result.stdout)
    assert (told["out"], told["width"]) == (f"figure.{kind}", 4.0)
    if kind == "png":
        with Image.open("figure.png") as image:
            assert image.width == 800
            assert image.height == pytest.approx(200 * told["height"], abs=2)
    assert (made / f"figure.{kind}").stat().st_size > 1000


def test_by_class_and_logarithmic(prunekit, made):
    result = prunekit("plot", "distribution", "scores.parquet", "--by-class", "--log", "--out", "f.svg")
    assert result.stdout.startswith("f.svg: distribution of scores by class, 6.0 x ")


def test_velocity(prunekit, tmp_path):
    rows = [(0, 0, 1, group, 10 * group, 10 * group + 10, 0.5, 0.1 * group) for group in range(3)]
    kinds = [np.int64] * 6 + [np.float64] * 2
    columns = {
        name: np.array(column, kind)
        for name, column, kind in zip(VELOCITY_TYPES, zip(*rows, strict=True), kinds, strict=True)
    }
    write_columns("velocity.parquet", columns, {})
    assert prunekit("plot", "velocity", "velocity.parquet", "--out", "v.pdf").stdout.startswith(
        "v.pdf: kernel"
    )
    # What `prunekit info` says of it, against the same numbers.
    told = json.loads(prunekit("info", "velocity.parquet", "--json").stdout)
    (row,) = told["velocities"]
    assert (row["lowest"], row["mean"], row["highest"]) == pytest.approx((0, 0.1, 0.2))
    lines = prunekit("info", "velocity.parquet").stdout.splitlines()
    assert lines[-1].split() == ["0", "to", "1", "0.000", "0.100", "0.200"]
    assert lines[1] == "  3 groups of up to 10 examples by score, seed 0"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("epochs", "run", "--out", "a.jpg"), 1, "must end in .png, .svg, .pdf; got 'a.jpg'"),
        (("epochs", "run", "--score", "grand", "--out", "a.png"), 1, "there is no column 'grand'"),
        (("epochs", "none", "--out", "a.png"), 1, "none is not a run directory"),
        (("distribution", "run", "--column", "x", "--out", "a.png"), 1, "there is no column 'x'"),
        (("distribution", "run", "run:el2n@0", "--by-class", "--out", "a.png"), 1, "one score of one table"),
        (
            ("gallery", "scores.parquet", "--classes", "5", "--data", "data.npz", "--out", "a.png"),
            1,
            "class 5",
        ),
        (("gallery", "scores.parquet", "--data", "digits", "--out", "a.png"), 1, "Hint"),
        (("accuracy", "run", "--out", "a.png"), 1, "retrain"),
        (("velocity", "scores.parquet", "--out", "a.png"), 1, "lacks the columns"),
        (("distribution", "--out", "a.png"), 2, "Missing argument"),
        (("epochs", "run"), 2, "Missing option '--out'"),
        (("epochs", "run", "--width", "0", "--out", "a.png"), 2, "--width"),
        (("histogram",), 2, "No such command 'histogram'"),
    ],
)
def test_one_clear_line_and_no_file(prunekit, made, words, code, said):
    result = prunekit("plot", *words, code=code)
    assert said in result.stderr
    assert not (made / "a.png").exists()


@pytest.mark.parametrize("name", sorted(cli.commands["plot"].commands))
def test_every_figure_says_what_it_does(prunekit, name):
    command = cli.commands["plot"].commands[name]
    told = prunekit("plot", name, "--help").stdout
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.opts[-1] in told
    assert any("--json" in parameter.opts for parameter in command.params)
