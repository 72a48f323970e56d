"""The command in this process, in a folder of its own, on data so small that a run takes a second."""

import sys
import types

import numpy as np
import pytest
from click.testing import CliRunner

from prune_kit_cli.main import cli


@pytest.fixture
def prunekit(tmp_path, monkeypatch):
    """Run the command with the given words; its exit code must be `code`."""
    monkeypatch.chdir(tmp_path)
    # Modules named by --model are looked for in the current folder, and would stay loaded.
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*words, code=0):
        result = CliRunner().invoke(cli, [str(word) for word in words])
        # Any other exception would be a traceback at the terminal.
        assert isinstance(result.exception, (SystemExit, types.NoneType)), repr(result.exception)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    yield run
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def tiny(tmp_path):
    """64 examples of 8 features in 3 classes, as .npz."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 64)
    inputs = (rng.standard_normal((64, 8)) + labels[:, None]).astype(np.float32)
    path = tmp_path / "tiny.npz"
    np.savez(path, x=inputs, y=labels, ids=np.arange(64) + 1000)
    return path


@pytest.fixture
def logits(tmp_path):
    """Saved logits of three seeds and their labels: seed0.npy ... and labels.npy."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 4
    base = 2 * rng.standard_normal((60, 4)) + 2 * np.eye(4)[labels]
    for seed in range(3):
        np.save(tmp_path / f"seed{seed}.npy", (base + rng.standard_normal((60, 4))).astype(np.float32))
    np.save(tmp_path / "labels.npy", labels)
    return tmp_path


@pytest.fixture
def scores(prunekit, logits):
    """The file of scores of these logits."""
    prunekit(
        "score", "--framework", "arrays", "--logits", "seed*.npy", "--labels", "labels.npy", "--out", "run"
    )
    prunekit("aggregate", "run", "--out", "scores.parquet")
    return logits / "scores.parquet"
