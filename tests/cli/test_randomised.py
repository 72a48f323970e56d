"""`prunekit score --randomise-labels`."""

import json

import numpy as np
import pytest

from prune_kit.randomised_labels import randomise_labels
from prune_kit.store import Run
from prune_kit.table import ScoreTable
from prune_kit_cli.from_run import reopen

TINY = (
    "score",
    "--framework",
    "torch",
    "--data",
    "tiny.npz",
    "--seeds",
    "2",
    "--epochs",
    "1",
    "--out",
    "run",
)
SHUFFLED = ("--randomise-labels", "0.5", "--label-seed", "3")


def test_networks_get_the_shuffled_labels_and_the_original_ones_are_kept(prunekit, tiny):
    result = prunekit(*TINY, *SHUFFLED)
    assert "labels of 32 examples shuffled; run/labels.parquet has the original ones" in result.stdout
    original = np.load(tiny)["y"]
    given, positions = randomise_labels(original, fraction=0.5, seed=3)
    run = Run.open("run")
    assert run.config["randomised_labels"] == {"fraction": 0.5, "seed": 3}
    for _, part in run.read_parts(1):
        assert part.labels.tolist() == given.tolist()
    kept = ScoreTable.read("run/labels.parquet")
    assert kept.ids.tolist() == (np.arange(64) + 1000).tolist()
    assert kept.labels.tolist() == given.tolist()
    assert kept["original"].tolist() == original.tolist()
    assert np.flatnonzero(kept["chosen"]).tolist() == positions.tolist()
    assert sorted(given.tolist()) == sorted(original.tolist())
    assert "chosen: 32 of 64" in prunekit("info", "run/labels.parquet").stdout


def test_the_same_command_goes_on_and_another_seed_is_refused(prunekit, tiny):
    prunekit(*TINY, *SHUFFLED)
    first = Run.open("run").read_part(0, 1)["el2n"].tolist()
    result = json.loads(prunekit(*TINY, *SHUFFLED, "--json").stdout)
    assert result["randomised_labels"] == {"examples": 32, "file": "run/labels.parquet"}
    assert Run.open("run").read_part(0, 1)["el2n"].tolist() == first
    refused = prunekit(*TINY, "--randomise-labels", "0.5", code=1)
    assert "randomised_labels" in refused.stderr
    assert "labels" in prunekit(*TINY, code=1).stderr
    assert ScoreTable.read("run/labels.parquet").provenance["randomised_labels"]["seed"] == 3


def test_a_count_and_what_was_scored_is_found_again(prunekit, tiny):
    prunekit(*TINY, "--randomise-labels", "10")
    assert Run.open("run").config["randomised_labels"] == {"count": 10, "seed": 0}
    expected = randomise_labels(np.load(tiny)["y"], count=10, seed=0)[0]
    assert reopen("run").data.labels.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--label-seed", "1"], 2, "--label-seed: only with --randomise-labels"),
        (["--randomise-labels", "1.5"], 2, "1.5 is not from 0 to 1"),
        (["--randomise-labels", "65"], 1, "from 0 to the number of examples, 64; got 65"),
        (
            ["--randomise-labels", "0.1", "--framework", "onnx"],
            2,
            "--randomise-labels: not with --framework onnx",
        ),
        (
            ["--randomise-labels", "0.1", "--data", "made:data"],
            1,
            "needs data in files, or the digits; got tuple",
        ),
    ],
)
def test_what_does_not_fit_is_refused(prunekit, tiny, tmp_path, words, code, said):
    (tmp_path / "made.py").write_text("import numpy as np\ndata = (np.zeros((4, 2), 'f4'), np.arange(4))\n")
    assert said in prunekit(*TINY, *words, code=code).stderr
    assert not (tmp_path / "run").exists()
