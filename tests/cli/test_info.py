import json
from pathlib import Path

import numpy as np
import pytest

from prune_kit.store import Run
from prune_kit.table import ScoreTable

ARRAYS = ("score", "--framework", "arrays", "--logits", "seed*.npy", "--labels", "labels.npy", "--out", "run")


def test_a_run(prunekit, logits):
    prunekit(*ARRAYS)
    lines = prunekit("info", "run").stdout.splitlines()
    assert lines[0] == "run: a run of arrays"
    assert "(60 examples, fingerprint " in lines[1]
    assert "  scores    el2n: higher is harder" in lines
    assert "  seeds     0, 1, 2" in lines
    assert "  epochs    0" in lines
    assert "  parts     3 of 3" in lines
    told = json.loads(prunekit("info", "run", "--json").stdout)
    assert (told["parts"], told["asked"], told["complete"]) == (3, 3, True)
    assert told["directions"] == {"el2n": "higher is harder"}
    assert told["config"] == Run.open("run").config
    assert set(told["made_with"]) == {"python", "numpy", "prune-kit"}


def test_a_run_of_trained_seeds(prunekit, tiny):
    words = ("score", "--framework", "torch", "--data", "tiny.npz", "--seeds", "2", "--epochs", "1")
    prunekit(*words, "--out", "run")
    lines = prunekit("info", "run").stdout.splitlines()
    assert lines[0] == "run: a run of torch"
    assert lines[1].startswith("  data      tiny.npz (64 examples, ")
    assert lines[2].startswith("  model     mlp (268,803 parameters)")
    assert any("torch 2." in line for line in lines)


def test_an_unfinished_run(prunekit, logits):
    prunekit(*ARRAYS)
    Path("run/scores/seed=2/epoch=0/part-0.parquet").unlink()
    assert "  parts     2 of 3; the same score command goes on with it" in prunekit("info", "run").stdout
    told = json.loads(prunekit("info", "run", "--json").stdout)
    assert (told["parts"], told["complete"]) == (2, False)


def test_a_run_that_has_just_begun(prunekit, tmp_path):
    """By a program of the user's, whose config has nothing that the kit looks for."""
    with Run.start("run", config={"mine": 1}, seeds=range(2), epochs=[0, 1], made_with={}):
        pass
    result = prunekit("info", "run")
    assert "  parts     0 of 4; the same score command goes on with it" in result.stdout
    assert json.loads(prunekit("info", "run", "--json").stdout)["config"] == {"mine": 1}


def test_a_file_of_scores(prunekit, scores):
    result = prunekit("info", "scores.parquet")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert result.stdout.startswith("scores.parquet: 60 examples\n")
    table = ScoreTable.read("scores.parquet")
    row = next(line for line in lines if line[0] == "score" and len(line) == 6)
    assert [float(each) for each in row[1:]] == pytest.approx(
        np.quantile(table["score"], [0, 0.25, 0.5, 0.75, 1], method="nearest").tolist(), abs=5e-4
    )
    assert ["run", "run"] in lines
    assert ["epoch", "0"] in lines
    told = json.loads(prunekit("info", "scores.parquet", "--json").stdout)
    assert told["examples"] == 60
    assert told["provenance"]["seeds"] == [0, 1, 2]
    assert told["columns"]["rank"] == [1, 16, 31, 45, 60]


def test_one_seed_has_no_standard_error_and_json_no_nan(prunekit, scores):
    prunekit("aggregate", "run", "--seeds", "0", "--out", "one.parquet")
    row = next(
        line for line in prunekit("info", "one.parquet").stdout.splitlines() if "standard_error" in line
    )
    assert row.split()[1:] == ["-"] * 5
    told = json.loads(prunekit("info", "one.parquet", "--json").stdout)
    assert told["columns"]["standard_error"] == [None] * 5


def test_infinite_scores(prunekit, tmp_path):
    ScoreTable([1, 2], [0, 1], {"score": [0.5, np.inf]}).to_parquet(tmp_path / "s.parquet")
    assert "inf" in prunekit("info", "s.parquet").stdout
    assert json.loads(prunekit("info", "s.parquet", "--json").stdout)["columns"]["score"][-1] == "inf"


def test_a_subset(prunekit, scores):
    prunekit("prune", "scores.parquet", "--keep", "0.25", "--offset", "0.1", "--out", "kept.parquet")
    lines = [line.split() for line in prunekit("info", "kept.parquet").stdout.splitlines()]
    assert lines[0] == ["kept.parquet:", "15", "examples"]
    for told in (["method", "window"], ["keep", "0.25"], ["offset", "0.1"]):
        assert told in lines


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("garbage.parquet", b"nothing of use", "garbage.parquet is not a readable Parquet file"),
        ("empty.parquet", b"", "empty.parquet is not a readable Parquet file"),
        ("labels.npy", None, "labels.npy is not a readable Parquet file"),
        ("none.parquet", None, "there is no file none.parquet"),
        (".", None, "is not a run directory: it has no run.json"),
    ],
)
def test_what_is_neither(prunekit, logits, name, content, said):
    if content is not None:
        Path(name).write_bytes(content)
    for words in ((name,), (name, "--json")):
        result = prunekit("info", *words, code=1)
        assert said in result.stderr
        assert result.stdout == ""


def test_flags_are_counted(prunekit, tmp_path):
    columns = {"flagged": np.array([True, False, True]), "probability": np.array([0.9, 0.1, 0.8], np.float32)}
    ScoreTable([1, 2, 3], [0, 1, 0], columns).to_parquet(tmp_path / "f.parquet")
    assert "flagged: 2 of 3" in prunekit("info", "f.parquet").stdout
    assert json.loads(prunekit("info", "f.parquet", "--json").stdout)["true"] == {"flagged": 2}
