"""`prunekit retrain`: subsets, baselines, what is told, what is refused."""

import json
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from prune_kit.retraining import Retraining

SCRIPT = Path(__file__).with_name("kill_repeatedly.py")


@pytest.fixture
def run(prunekit, tiny):
    """A run of tiny.npz, its hardest half in kept.parquet, and test data of the same kind."""
    prunekit("score", "--framework", "torch", "--data", "tiny.npz", "--seeds", "2", "--epochs", "1",
             "--batch-size", "8", "--out", "run")  # fmt: skip
    prunekit("aggregate", "run", "--out", "scores.parquet")
    prunekit("prune", "scores.parquet", "--keep", "0.5", "--out", "kept.parquet")
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 30)
    np.savez("test.npz", x=(rng.standard_normal((30, 8)) + labels[:, None]).astype(np.float32), y=labels)
    return tiny.parent / "run"


WORDS = ("retrain", "run", "--kept", "kept.parquet", "--test-data", "test.npz", "--epochs", "2")


def test_the_table_is_that_of_the_rows(prunekit, run):
    told = json.loads(prunekit(*WORDS, "--seeds", "3", "--milestones", "1", "--json").stdout)
    assert told["retraining"] == "run-retrained"
    assert (told["equal"], told["epochs"], told["seeds"]) == ("steps", 2, [0, 1, 2])
    assert told["test"]["data_source"] == "test.npz"
    assert told["recipe"]["milestones"] == [1]
    assert [(s["subset"], s["kept"], s["steps"]) for s in told["subsets"]] == [
        ("kept", 32, 16),
        ("random-32", 32, 16),
        ("full", 64, 16),
    ]
    of = {
        s["subset"]: [r["accuracy"] for r in told["rows"] if r["subset"] == s["subset"]]
        for s in told["subsets"]
    }
    pairs = [a - b for a, b in zip(of["kept"], of["random-32"], strict=True)]
    mean = sum(pairs) / 3
    kept = told["subsets"][0]
    assert kept["accuracy"] == pytest.approx(sum(of["kept"]) / 3)
    assert kept["difference_to_random"] == pytest.approx(mean)
    assert kept["difference_to_random_standard_error"] == pytest.approx(
        math.sqrt(sum((p - mean) ** 2 for p in pairs) / 2 / 3)
    )
    said = prunekit(*WORDS, "--seeds", "3", "--milestones", "1").stdout
    assert "test accuracy on test.npz (30 examples) after 2 epochs\nequal steps: 16 on every subset\n" in said
    assert "learning rate 0.1, times 0.2 after epochs 1\n" in said
    assert f"{kept['accuracy']:.4f} ± {kept['standard_error']:.4f}" in said
    assert "± is the standard error over 3 seeds" in said
    assert "one test example is 0.0333" in said


def test_equal_epochs_and_a_picture(prunekit, run):
    said = prunekit(
        *WORDS, "--seeds", "1", "--equal", "epochs", "--at-epochs", "1,2", "--plot", "a.png"
    ).stdout
    assert "equal epochs: a smaller subset is trained for fewer steps" in said
    assert "one seed says nothing about the spread" in said
    assert "throughout: its milestones (60, 120, 160) come later" in said
    assert "epochs 1, 2: run-retrained/accuracy.parquet" in said
    assert {(r["subset"], r["epoch"]): r["steps"] for r in Retraining.read("run-retrained").rows} == {
        ("kept", 1): 4, ("kept", 2): 8, ("random-32", 1): 4, ("random-32", 2): 8,
        ("full", 1): 8, ("full", 2): 16,
    }  # fmt: skip
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")


def test_subsets_are_named_and_each_size_has_its_random_baseline(prunekit, run):
    prunekit("prune", "scores.parquet", "--keep", "20", "--out", "few.parquet")
    words = [*WORDS, "--kept", "few=few.parquet", "--kept", "all=scores.parquet", "--seeds", "1"]
    told = json.loads(prunekit(*words, "--baseline", "random", "--json").stdout)
    assert [s["subset"] for s in told["subsets"]] == ["kept", "few", "all", "random-32", "random-20"]
    few, all_of = told["subsets"][1], told["subsets"][2]
    by_name = {s["subset"]: s["accuracy"] for s in told["subsets"]}
    assert few["difference_to_random"] == pytest.approx(by_name["few"] - by_name["random-20"])
    assert few["difference_to_full"] == pytest.approx(by_name["few"] - all_of["accuracy"])
    # More subsets later; what is there is not trained again.
    before = Path("run-retrained/runs/kept/run.json").stat().st_mtime_ns
    parts = {f: f.stat().st_mtime_ns for f in Path("run-retrained").rglob("part-0.parquet")}
    prunekit(*words, "--baseline", "full")
    assert all(f.stat().st_mtime_ns == time for f, time in parts.items())
    assert before <= Path("run-retrained/runs/kept/run.json").stat().st_mtime_ns
    assert list(Retraining.read("run-retrained").subsets)[-1] == "full"


def test_what_the_run_was_trained_with_and_what_is_changed(prunekit, run):
    prunekit(*WORDS, "--seeds", "1", "--baseline", "none", "--weight-decay", "0", "--precision", "bfloat16",
             "--save-checkpoints", "--out", "elsewhere")  # fmt: skip
    made = Retraining.read("elsewhere")
    assert list(made.subsets) == ["kept"]
    config = made.run("kept").config
    assert (config["recipe"]["batch_size"], config["recipe"]["weight_decay"]) == (8, 0.0)
    assert (config["precision"], config["model_name"]) == ("bfloat16", "mlp")
    assert made.run("kept").checkpoint_path(0, 2).exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--kept", "kept.parquet", "--epochs", "1"], 2, "--test-data: say on what to measure the accuracy"),
        (["--kept", "kept.parquet", "--test-data", "test.npz"], 2, "--epochs: say how long to train"),
        (["--epochs", "1", "--baseline", "random"], 2, "nothing to train on: give --kept FILE"),
        (["--baseline", "none", "--baseline", "full"], 2, "--baseline none excludes the others"),
        (["--kept", "no.parquet", "--epochs", "1", "--test-data", "test.npz"], 1, "no file no.parquet"),
        (["--kept", "full=kept.parquet", "--epochs", "1", "--test-data", "test.npz"], 1,
         "two subsets are called full. Hint: name them apart: --kept NAME=FILE"),
        (["--kept", "ids.txt", "--epochs", "1", "--test-data", "test.npz"], 1,
         "the data of run has no example with the ids"),
        (["--kept", "kept.parquet", "--epochs", "1", "--test-data", "tiny.npz"], 1,
         "`test_data` is the training data"),
        (["--kept", "kept.parquet", "--epochs", "1", "--test-data", "digits"], 1, "of the shape of those of"),
        (["--kept", "kept.parquet", "--plot", "a.gif"], 1, "a figure must end in .png"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(prunekit, run, words, code, message):
    Path("ids.txt").write_text("1000\n5\n")
    result = prunekit("retrain", "run", *words, code=code)
    assert message in result.output
    assert not Path("run-retrained").exists()


def test_another_retraining_in_its_place_is_refused(prunekit, run):
    prunekit(*WORDS, "--seeds", "1", "--baseline", "none")
    result = prunekit(*WORDS, "--seeds", "1", "--equal", "epochs", code=1)
    assert (
        'run-retrained holds another retraining; what differs: equal was "steps", is now "epochs"'
        in result.output
    )


def test_test_examples_among_the_training_data_are_told(prunekit, run):
    with np.load("tiny.npz") as arrays:
        np.savez("part.npz", x=arrays["x"][:10], y=arrays["y"][:10])
    words = [word if word != "test.npz" else "part.npz" for word in WORDS]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = prunekit(*words, "--seeds", "1", "--baseline", "none")
    assert "Warning: 10 of the 10 test examples have the same inputs as a training example" in result.stderr


def test_the_digits_bring_test_data_and_epochs(prunekit):
    prunekit("score", "--framework", "torch", "--seeds", "1", "--epochs", "1", "--out", "run")
    told = json.loads(prunekit("retrain", "run", "--baseline", "full", "--seeds", "1", "--json").stdout)
    (full,) = told["subsets"]
    assert (told["test"]["data_source"], full["epoch"], full["steps"]) == ("digits:test", 30, 300)
    assert full["accuracy"] > 0.95


def everything(path):
    return {file.relative_to(path): file.read_bytes() for file in Path(path).rglob("*") if file.is_file()}


def test_killed_again_and_again_the_result_is_the_same_byte_for_byte(prunekit, run):
    words = ["retrain", "run", "--kept", "kept.parquet", "--test-data", "test.npz", "--epochs", "12"]
    words += ["--at-epochs", "0,6,12", "--seeds", "2", "--save-checkpoints", "--out", "killed"]
    killed = subprocess.run(
        [sys.executable, SCRIPT, "0.3", "0", *words],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=200,
        check=False,
    )
    assert killed.returncode == 0, killed.stderr
    kills, in_a_seed = map(int, killed.stdout.splitlines()[-1].split())
    assert kills >= 3
    assert in_a_seed >= 1
    assert everything("killed") == everything("whole")
