"""Through the command: from a run with checkpoints to a file and a table."""

import json

import pytest

from prune_kit.dynamics_files import read_velocity


@pytest.fixture
def run(prunekit, tiny):
    prunekit(
        "score", "--framework", "torch", "--data", tiny, "--model", "mlp", "--seeds", 2, "--at-epochs", "0-2",
        "--save-checkpoints", "--device", "cpu", "--out", "run",
    )  # fmt: skip
    return tiny.parent / "run"


def test_a_file_and_a_table(prunekit, run, tmp_path):
    words = ("velocity", "run", "--group-size", 8, "--groups", 3, "--device", "cpu", "--out", "v.parquet")
    text = prunekit(*words).stdout
    columns = read_velocity(tmp_path / "v.parquet")
    assert len(columns["velocity"]) == 2 * 3
    assert "0 to 1" in text
    assert "1 to 2" in text
    assert f"{columns['velocity'][0]:.5f}" in text
    assert "56-63" in text
    assert "wrote 6 velocities to v.parquet" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    told = json.loads(prunekit(*words, "--seeds", "0,1", "--json").stdout)
    columns = read_velocity(tmp_path / "v.parquet")
    assert told["rows"] == len(columns["velocity"]) == 12
    assert told["seeds"] == [0, 1]
    assert told["intervals"] == [[0, 1], [1, 2]]
    hardest = (columns["group"] == 2) & (columns["epoch"] == 1)
    assert told["groups"][2]["velocity"][1] == pytest.approx(columns["velocity"][hardest].mean())
    assert (told["groups"][0]["first_rank"], told["groups"][2]["last_rank"]) == (0, 64)


def test_all_groups_of_some_epochs(prunekit, run, tmp_path):
    prunekit(
        "velocity", "run", "--group-size", 16, "--groups", "all", "--epochs", "0,2", "--score-epoch", 1,
        "--device", "cpu", "--out", "v.parquet",
    )  # fmt: skip
    columns = read_velocity(tmp_path / "v.parquet")
    assert columns["group"].tolist() == [0, 1, 2, 3]
    assert set(columns["next_epoch"].tolist()) == {2}


def test_bad_input(prunekit, tiny, run):
    options = ("--device", "cpu", "--out", "v.parquet")
    assert "1 to the number of examples, 64" in prunekit("velocity", "run", *options, code=1).stderr
    assert "no scores at epoch 9" in prunekit("velocity", "run", "--score-epoch", 9, *options, code=1).stderr
    assert "from 1 on, or all" in prunekit("velocity", "run", "--groups", "few", *options, code=2).stderr
    assert "Missing option '--out'" in prunekit("velocity", "run", code=2).stderr
    prunekit(
        "score", "--framework", "torch", "--data", tiny, "--model", "mlp", "--seeds", 1, "--at-epochs", 0,
        "--device", "cpu", "--out", "bare",
    )  # fmt: skip
    said = prunekit("velocity", "bare", "--group-size", 8, *options, code=1).stderr
    assert "has no checkpoints" in said
    assert "--save-checkpoints" in said
