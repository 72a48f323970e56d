"""A disk that is full (a limit on the size of files): one clear line, and what was there before stays."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prune_kit.store import Run
from prune_kit.table import ScoreTable

N = 4000


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((N, 8)).astype(np.float32)
    np.savez("big.npz", x=inputs, y=rng.integers(0, 3, N))
    for seed in range(2):
        np.save(f"seed{seed}.npy", rng.standard_normal((N, 3)).astype(np.float32))
    np.save("labels.npy", rng.integers(0, 3, N))
    return tmp_path


LIMITED = """
import resource, sys
size = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
from prune_kit_cli.main import cli
cli()
"""


def limited(size, *words):
    """Run the command where no file may grow beyond `size` bytes."""
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(size), *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=120,
        check=False,
    )


def error(done):
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("Warning: ")]
    assert line.startswith("Error: ")
    return line


def contents(folder):
    return {str(file): file.read_bytes() for file in Path(folder).rglob("*") if file.is_file()}


def test_a_part_of_a_run(here, prunekit):
    words = ["score", "--framework", "arrays", "--labels", "labels.npy", "--out", "run"]
    prunekit(*words, "--logits", "seed0.npy")
    before = {name: content for name, content in contents("run").items() if "part" in name}
    line = error(limited(8192, *words, "--logits", "seed*.npy"))
    assert "cannot write run/scores/seed=1/epoch=0/part-0.parquet" in line
    assert "Hint: check the free space" in line
    assert {name: content for name, content in contents("run").items() if "part" in name} == before
    assert not list(Path("run").rglob(".tmp-*"))
    prunekit(*words, "--logits", "seed*.npy")
    assert Run.open("run").parts() == [(0, 0), (1, 0)]


def test_run_json(here):
    line = error(
        limited(
            16,
            "score",
            "--framework",
            "arrays",
            "--logits",
            "seed*.npy",
            "--labels",
            "labels.npy",
            "--out",
            "r",
        )
    )
    assert "cannot write r/run.json" in line


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (["aggregate", "run", "--out", "s.parquet"], "s.parquet"),
        (["prune", "scores.parquet", "--keep", "0.5", "--out", "kept.parquet"], "kept.parquet"),
        (["prune", "scores.parquet", "--keep", "0.5", "--out", "kept.txt"], "kept.txt"),
        (["prune", "scores.parquet", "--keep", "0.5", "--out", "kept.csv"], "kept.csv"),
        (["prune", "scores.parquet", "--keep", "0.5", "--out", "kept.npy"], "kept.npy"),
    ],
)
def test_files_that_are_replaced_stay_what_they_were(here, prunekit, words, file):
    prunekit(
        "score", "--framework", "arrays", "--labels", "labels.npy", "--logits", "seed*.npy", "--out", "run"
    )
    prunekit("aggregate", "run", "--out", "scores.parquet")
    Path(file).write_bytes(b"what was there before")
    line = error(limited(2048, *words))
    assert f"cannot write {file}: " in line
    assert "what was there before is unchanged" in line
    assert Path(file).read_bytes() == b"what was there before"
    assert not list(Path().rglob(".tmp-*"))
    prunekit(*words)
    assert Path(file).read_bytes() != b"what was there before"


TRAIN = ["score", "--framework", "torch", "--data", "big.npz", "--model", "mlp", "--batch-size", "1000"]
TRAIN += ["--seeds", "1", "--epochs", "2", "--at-epochs", "0,2", "--out", "run"]


def test_a_checkpoint(here, prunekit):
    # The weights of the network take 1.1 MB, a part 50 kB.
    line = error(limited(400_000, *TRAIN, "--save-checkpoints"))
    assert "cannot write run/checkpoints/seed=0/epoch=0.safetensors" in line
    assert not list(Path("run").rglob(".tmp-*"))
    prunekit(*TRAIN, "--save-checkpoints")
    assert Run.open("run").parts() == [(0, 0), (0, 2)]


def test_the_state_of_a_seed_in_training(here, prunekit):
    line = error(limited(400_000, *TRAIN))
    assert "cannot write run/resume/seed=0.pt" in line
    assert not list(Path("run").rglob(".tmp-*"))
    assert Run.open("run").parts() == [(0, 0)]
    first = ScoreTable.read("run/scores/seed=0/epoch=0/part-0.parquet")["el2n"].tobytes()
    prunekit(*TRAIN)
    assert Run.open("run").parts() == [(0, 0), (0, 2)]
    assert Run.open("run").read_part(0, 0)["el2n"].tobytes() == first
