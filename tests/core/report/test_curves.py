"""Retraining, kernel velocities and barriers as they are drawn: means and errors written out."""

import json
import math

import numpy as np
import pytest

from prune_kit.column_files import write_columns
from prune_kit.errors import StoreError
from prune_kit.report.curves import barrier_charts, retraining_chart, velocity_chart

ACCURACIES = {"full": (100, [0.9, 0.92]), "hardest-50": (50, [0.85, 0.89]), "random-50": (50, [0.8])}


@pytest.fixture
def retraining(tmp_path):
    content = {
        "format": 1,
        "config": {},
        "subsets": {name: {"kept": kept, "of": 100} for name, (kept, _) in ACCURACIES.items()},
        "seeds": [0, 1],
        "epochs": 3,
        "at_epochs": [3],
        "equal": "steps",
        "test": {"examples": 10},
        "made_with": {},
    }
    (tmp_path / "retrain.json").write_text(json.dumps(content))
    rows = [
        (name, kept, seed, 3, 30, accuracy)
        for name, (kept, accuracies) in ACCURACIES.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    names = ("subset", "kept", "seed", "epoch", "steps", "accuracy")
    columns = {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
    write_columns(tmp_path / "accuracy.parquet", columns, content)
    return tmp_path


def test_accuracies_have_their_standard_errors(retraining):
    chart = retraining_chart(retraining)
    assert "the same number of optimisation steps" in chart.description
    for name, kept, seeds, accuracy, error in chart.rows:
        size, accuracies = ACCURACIES[name]
        assert kept == f"{size} ({size}%)"
        assert seeds == len(accuracies)
        mean = sum(accuracies) / seeds
        assert accuracy == f"{mean:.4f}"
        if seeds == 1:
            assert error == ""
        else:
            variance = sum((a - mean) ** 2 for a in accuracies) / (seeds - 1)
            assert error == f"{math.sqrt(variance / seeds):.4f}"
    drawn = {row["subset"]: row for row in chart.spec["data"]["values"]}
    assert drawn["full"]["high"] - drawn["full"]["low"] == pytest.approx(2 * 0.01)
    assert drawn["random-50"]["high"] == drawn["random-50"]["low"] == 0.8


def test_what_is_no_retraining_is_refused(tmp_path):
    with pytest.raises(StoreError):
        retraining_chart(tmp_path)


def test_velocities_are_means_over_the_seeds_by_rank(tmp_path):
    rng = np.random.default_rng(0)
    places = [(seed, first, group) for seed in range(3) for first in range(8) for group in range(4)]
    seed, epoch, group = np.array(places).T
    columns = {
        "seed": seed,
        "epoch": epoch,
        "next_epoch": epoch + 1,
        "group": group,
        "first_rank": 10 * group,
        "last_rank": 10 * group + 10,
        "score": group / 4,
        "velocity": rng.random(len(seed)),
    }
    write_columns(tmp_path / "velocity.parquet", columns, {})
    chart = velocity_chart(tmp_path / "velocity.parquet")
    assert "5 of 8 intervals" in chart.description
    assert {row[0] for row in chart.rows} == {"0 to 1", "2 to 3", "4 to 5", "5 to 6", "7 to 8"}
    for epochs, rank, velocity in chart.rows:
        there = (epoch == int(epochs[0])) & (10 * group + 5 == int(rank))
        assert there.sum() == 3
        assert velocity == f"{columns['velocity'][there].mean():.4g}"


class Barriers(dict):
    """What `read_barrier` gives."""

    summary: list


def test_barriers_are_means_over_the_seeds(monkeypatch):
    places = [
        (seed, epoch, kind, alpha)
        for seed in range(2)
        for epoch in (0, 4)
        for kind in ("highest", "random")
        for alpha in (0.0, 0.5, 1.0)
    ]
    seed, epoch, examples, alpha = map(np.array, zip(*places, strict=True))
    found = Barriers(seed=seed, spawn_epoch=epoch, examples=examples, alpha=alpha)
    found["error"] = np.random.default_rng(0).random(len(places))
    found.summary = [
        {"seed": s, "spawn_epoch": e, "examples": kind, "error_barrier": 0.1 * (s + 1) + 0.01 * e}
        for s in range(2)
        for e in (0, 4)
        for kind in ("highest", "random")
    ]
    monkeypatch.setattr("prune_kit.report.curves.read_barrier", lambda path: found)
    barrier, path = barrier_charts("B")
    # The mean of .1 and .2; .04 more at epoch 4.
    assert sorted(barrier.rows) == sorted(
        (e, kind, f"{0.15 + 0.01 * e:.4f}") for e in (0, 4) for kind in ("highest", "random")
    )
    error = np.std([0.1, 0.2], ddof=1) / np.sqrt(2)
    drawn = barrier.spec["layer"][0].get("data", barrier.spec.get("data"))["values"]
    assert drawn[0]["high"] - drawn[0]["low"] == pytest.approx(2 * error)
    for at, kind, mean in path.rows:
        there = (epoch == 0) & (examples == kind) & (alpha == float(at))
        assert mean == f"{found['error'][there].mean():.4f}"
    assert len(path.rows) == 6
