"""Through the command: children of a run with checkpoints, a table, and what else reads the directory."""

import json

import pytest

from prune_kit.dynamics_files import read_barrier


@pytest.fixture
def run(prunekit, tiny):
    prunekit(
        "score", "--framework", "torch", "--data", tiny, "--model", "mlp", "--seeds", 2, "--at-epochs", "0-2",
        "--batch-size", 16, "--save-checkpoints", "--device", "cpu", "--out", "run",
    )  # fmt: skip
    return tiny.parent / "run"


WORDS = ("barrier", "run", "--epochs", 4, "--points", 5, "--group-size", 8, "--device", "cpu", "--out", "b")


def test_a_table_and_a_directory(prunekit, run, tmp_path):
    text = prunekit(*WORDS, "--spawn-epochs", "0,2").stdout
    assert "1 seed, as a share of the examples" in text
    assert "highest (8)" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    told = json.loads(prunekit(*WORDS, "--spawn-epochs", "0,2", "--seeds", "0,1", "--json").stdout)
    found = read_barrier(tmp_path / "b")
    assert told["seeds"] == [0, 1]
    assert told["barriers"] == found.summary
    mine = [r["error_barrier"] for r in found.summary if (r["spawn_epoch"], r["examples"]) == (2, "lowest")]
    said = [r for r in told["means"] if (r["spawn_epoch"], r["examples"]) == (2, "lowest")]
    assert said[0]["error_barrier"] == pytest.approx(sum(mine) / 2)
    assert said[0]["seeds"] == len(mine) == 2
    assert "5 points from child to child" in prunekit("info", "b").stdout
    prunekit("plot", "barrier", "b", "--out", "b.svg")
    assert (tmp_path / "b.svg").stat().st_size > 1000
    prunekit("report", "run", "--barrier", "b", "--out", "r.html")
    assert "Error barrier" in (tmp_path / "r.html").read_text()


def test_the_recipe_is_the_runs_unless_it_is_changed(prunekit, run, tmp_path):
    prunekit(*WORDS, "--spawn-epochs", "1")
    config = json.loads((tmp_path / "b/runs/seed=0/spawn=1/run.json").read_text())["config"]
    assert config["recipe"] == json.loads((run / "run.json").read_text())["config"]["recipe"]
    assert config["recipe"]["batch_size"] == 16
    said = prunekit(*WORDS, "--spawn-epochs", "1", "--learning-rate", "0.02", code=1).stderr
    assert "what differs: recipe" in said


def test_bad_input(prunekit, run):
    assert "Missing option '--spawn-epochs'" in prunekit(*WORDS, code=2).stderr
    said = prunekit(*WORDS, "--spawn-epochs", "4", code=1).stderr
    assert "from 0 to 3, before the last one" in said
    assert (
        "is not a run directory"
        in prunekit("barrier", "none", *WORDS[2:], "--spawn-epochs", 1, code=1).stderr
    )
