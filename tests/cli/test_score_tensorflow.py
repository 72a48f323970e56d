"""`prunekit score --framework tensorflow`, from the data to a kept subset."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from prune_kit.store import Run
from prune_kit.table import ScoreTable

WORDS = ("score", "--framework", "tensorflow")
TINY = (*WORDS, "--data", "tiny.npz", "--batch-size", "16", "--out", "run")
MODEL = """
import keras

def small():
    '''With dropout and BatchNorm, whose random numbers and statistics must survive too.'''
    layers = [keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dropout(0.2)]
    return keras.Sequential([keras.Input((8,)), *layers, keras.layers.Dense(3)])
"""


def parts(path="run"):
    """Every array of every part, as bytes."""
    run = Run.open(path)
    tables = {place: run.read_part(*place) for place in run.parts()}
    return {
        place: (table.ids.tobytes(), table.labels.tobytes(), *(table[name].tobytes() for name in table))
        for place, table in tables.items()
    }


@pytest.fixture
def small(prunekit, tiny, tmp_path):
    """Words that name a small model and data."""
    (tmp_path / "small.py").write_text(MODEL)
    return (*TINY, "--model", "small:small")


def test_the_main_job_on_the_digits(prunekit):
    """Score, aggregate, prune: text for people, nothing on stderr but warnings of the kit."""
    scored = prunekit(*WORDS, "--seeds", "2", "--epochs", "2")
    assert scored.stdout.startswith("run directory: runs/digits-tensorflow\n")
    assert "scored 1,347 examples: 2 seeds at epochs 1, 2\n" in scored.stdout
    assert all(line.startswith("Warning: ") for line in scored.stderr.splitlines())
    prunekit("aggregate", "runs/digits-tensorflow", "--out", "scores.parquet")
    pruned = prunekit("prune", "scores.parquet", "--keep", "0.5", "--out", "kept.parquet")
    assert "kept 674 of 1,347 examples (hardest)" in pruned.stdout
    table, digits = ScoreTable.read("scores.parquet"), load_digits()
    assert table.labels.tolist() == digits.target[table.ids].tolist()
    wrong = table["predicted"] != table.labels
    assert np.mean(wrong) < 0.4
    assert table["score"][wrong].mean() > 2 * table["score"][~wrong].mean()


def test_more_seeds_and_checkpoints_and_the_scores_of_these(prunekit, small):
    words = (*small, "--epochs", "2", "--at-epochs", "0,2", "--score", "el2n,grand", "--save-checkpoints")
    prunekit(*words, "--seeds", "1")
    first = parts()
    told = json.loads(prunekit(*words, "--seeds", "2", "--json").stdout)
    assert (told["parts"], told["epochs"], told["scores"]) == (4, [0, 2], ["el2n", "grand"])
    assert first.items() <= parts().items()
    again = [word for word in small if word not in ("--batch-size", "16")]
    again[again.index("run")] = "again"
    prunekit(*again, "--score", "el2n,grand", "--checkpoint", "run/checkpoints/*/*.safetensors")
    assert parts("again") == parts()
    refused = prunekit(*words, "--seeds", "2", "--learning-rate", "0.2", code=1)
    assert "what differs: recipe.learning_rate was 0.1, is now 0.2" in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--device", "cuda:99"), "cannot be had: TensorFlow sees 0 CUDA devices"),
        (("--device", "tpu"), "`device` must be cpu, cuda or cuda:N; got 'tpu'"),
        (("--model", "resnet19"), "there is no built-in model 'resnet19'; the models are small-cnn"),
        (("--model", "resnet18"), "the model resnet18 takes images"),
        (("--model", "small:none"), "there is no none"),
        (("--model", "small:keras.Sequential"), "cannot be built because it has no layers"),
        (("--checkpoint", "tiny.npz", "--at-epochs", "1"), "tiny.npz is not a readable checkpoint"),
    ],
)
def test_bad_input_gets_one_line(prunekit, small, words, said):
    named = () if "--model" in words else small[len(TINY) :]
    result = prunekit(*TINY, *named, *words, code=1)
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert said in line
    assert not list(Path().rglob("*.parquet"))


@pytest.fixture
def start():
    """Starts the command in a process of its own, which does not outlive the test."""
    started = []

    def run(*words):
        program = [sys.executable, "-c", "from prune_kit_cli.main import cli; cli()", *words]
        started.append(subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_killed_in_the_middle_of_a_seed_the_same_command_goes_on_to_the_same_bits(small, start):
    words = [*small[: small.index("--out")], *small[len(TINY) :], "--seeds", "2", "--epochs", "400"]
    words += ["--at-epochs", "0,400", "--save-checkpoints", "--out"]
    whole, killed = start(*words, "whole"), start(*words, "killed")
    end = time.monotonic() + 120
    while not list(Path("killed").glob("resume/seed=*.safetensors")):
        assert killed.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert len(parts("killed")) < 4
    assert start(*words, "killed").wait(120) == 0
    assert whole.wait(120) == 0
    assert parts("killed") == parts("whole")
    for file in Path("whole").rglob("*.safetensors"):
        assert file.read_bytes() == (Path("killed") / file.relative_to("whole")).read_bytes()
    assert not list(Path("killed/resume").iterdir())
