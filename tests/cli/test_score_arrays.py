"""`prunekit score --framework arrays`: scores of logits that are on disk already."""

import json

import numpy as np
import pytest

import prune_kit
from prune_kit.store import Run
from prune_kit.table import ScoreTable

ARRAYS = ("score", "--framework", "arrays", "--logits", "seed*.npy", "--labels", "labels.npy")


def test_score_aggregate_prune(prunekit, logits):
    scored = prunekit(*ARRAYS)
    assert scored.stdout.startswith("run directory: runs/seed-arrays\n")
    assert "scored 60 examples: 3 seeds at epochs 0\n" in scored.stdout
    assert scored.stderr == ""
    assert "prunekit aggregate runs/seed-arrays --out scores.parquet" in scored.stdout
    aggregated = prunekit("aggregate", "runs/seed-arrays", "--out", "scores.parquet")
    assert "scores.parquet: el2n of 60 examples, mean over 3 seeds at epoch 0" in aggregated.stdout
    pruned = prunekit("prune", "scores.parquet", "--keep", "0.5", "--out", "kept.npy")
    assert "kept 30 of 60" in pruned.stdout
    labels = np.load("labels.npy")
    seeds = [prune_kit.el2n(np.load(f"seed{seed}.npy"), labels).astype(float) for seed in range(3)]
    mean = np.mean(seeds, axis=0)
    np.testing.assert_allclose(ScoreTable.read("scores.parquet")["score"], mean, rtol=1e-6)
    assert np.load("kept.npy").tolist() == np.sort(np.argsort(mean, kind="stable")[30:]).tolist()


def test_json(prunekit, logits):
    result = prunekit(*ARRAYS, "--at-epochs", "20", "--out", "run", "--json")
    told = json.loads(result.stdout)
    agreement, reliability = told.pop("agreement"), told.pop("reliability")
    assert reliability == pytest.approx(3 * agreement[0]["agreement"] / (1 + 2 * agreement[0]["agreement"]))
    assert told == {
        "run": "run",
        "examples": 60,
        "seeds": [0, 1, 2],
        "epochs": [20],
        "scores": ["el2n"],
        "parts": 3,
    }
    assert agreement[0]["epoch"] == 20
    assert 0.7 < agreement[0]["agreement"] < 1


def test_one_array_of_all_seeds_probabilities_and_ids(prunekit, logits):
    stacked = np.stack([np.load(f"seed{seed}.npy") for seed in range(3)]).astype(np.float64)
    probabilities = np.exp(stacked) / np.exp(stacked).sum(-1, keepdims=True)
    np.savez("all.npz", logits=probabilities, labels=np.load("labels.npy"))
    np.save("ids.npy", np.array([f"img-{i}" for i in range(60)]))
    words = ("score", "--framework", "arrays", "--logits", "all.npz", "--ids", "ids.npy", "--probabilities")
    prunekit(*words, "--out", "all")
    prunekit(*ARRAYS, "--out", "run")
    part = Run.open("all").read_part(2, 0)
    assert part.ids[:2].tolist() == ["img-0", "img-1"]
    np.testing.assert_allclose(part["el2n"], Run.open("run").read_part(2, 0)["el2n"], rtol=1e-5)
    prunekit("aggregate", "all", "--out", "s.parquet")
    prunekit("prune", "s.parquet", "--keep", "2", "--out", "kept.txt")
    with open("kept.txt") as file:  # noqa: PTH123
        assert all(line.startswith("img-") for line in file)


def test_several_patterns_are_seeds_in_their_order(prunekit, logits):
    words = ("score", "--framework", "arrays", "--labels", "labels.npy", "--out", "run")
    prunekit(*words, "--logits", "seed2.npy", "--logits", "seed[01].npy")
    labels = np.load("labels.npy")
    for seed, file in enumerate(("seed2.npy", "seed0.npy", "seed1.npy")):
        expected = prune_kit.el2n(np.load(file), labels)
        assert Run.open("run").read_part(seed, 0)["el2n"].tobytes() == expected.tobytes()


def test_again_and_with_more_seeds(prunekit, logits):
    first = prunekit(*ARRAYS, "--out", "run")
    part = Run.open("run").part_path(0, 0)
    stamp = part.stat().st_mtime_ns
    assert prunekit(*ARRAYS, "--out", "run").stdout == first.stdout
    np.save("seed3.npy", np.load("seed0.npy")[::-1])
    assert "4 seeds" in prunekit(*ARRAYS, "--out", "run").stdout
    assert part.stat().st_mtime_ns == stamp
