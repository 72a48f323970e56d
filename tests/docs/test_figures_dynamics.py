"""The figures of training dynamics: their numbers by the definitions, from what the trainings left."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import prune_kit as pk
import prune_kit_torch as pkt
from prune_kit.column_files import read_columns
from prune_kit.data import load_examples

EXAMPLES = Path(__file__).parents[2] / "examples"


def figure(name, folder):
    """Run an example, twice: its rows, where they are, and whether the second time changed what was there."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), "--quick"]
    out = folder / "out" / name.split("_")[0]
    seen = []
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
        assert done.returncode == 0, done.stderr
        (out / f"{name}.png").unlink()
        seen.append(
            {
                p: p.stat().st_mtime_ns
                for p in out.rglob("*")
                if p.suffix == ".safetensors" or "part-" in p.name
            }
        )
    with (out / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file)), out, seen[0] == seen[1]


@pytest.fixture(scope="module")
def figure3(tmp_path_factory):
    return figure("figure3_velocity", tmp_path_factory.mktemp("figure3"))


@pytest.fixture(scope="module")
def figure4(tmp_path_factory):
    return figure("figure4_barrier", tmp_path_factory.mktemp("figure4"))


@pytest.fixture(scope="module")
def figure5(tmp_path_factory):
    return figure("figure5_smallest", tmp_path_factory.mktemp("figure5"))


@pytest.mark.parametrize("made", ["figure3", "figure4", "figure5"])
def test_the_same_command_again_trains_nothing(made, request):
    assert request.getfixturevalue(made)[2]


def mean_scores(run, epoch):
    parts = [table for _, table in pk.Run.open(run).read_parts(epoch)]
    assert len(parts) == 2
    return sum(table["el2n"].astype(np.float64) for table in parts) / 2, parts[0].labels


def jacobian_kernel(model, inputs):
    """J J^T of the logits of all examples, in float64, a backward pass for each logit."""
    logits = model(inputs).flatten()
    parameters = list(model.parameters())
    rows = [torch.autograd.grad(logit, parameters, retain_graph=True) for logit in logits]
    jacobian = torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])
    return jacobian @ jacobian.T


def test_velocity_is_that_of_explicit_jacobians(figure3):
    rows, out, _ = figure3
    digits = load_examples("digits")
    model = pkt.built_in_model("small-cnn", digits)().double()
    inputs = torch.cat([x for _, x, _ in pkt.as_source(digits).ordered(None)]).double()
    scores, _ = mean_scores(out / "clean", 2)
    hardest = inputs[np.argsort(scores, kind="stable")[-40:].copy()]
    kernels = []
    for epoch in (2, 3):
        pkt.load_checkpoint(model, out / "clean" / "checkpoints" / "seed=0" / f"epoch={epoch}.safetensors")
        kernels.append(jacobian_kernel(model, hardest))
    a, b = kernels
    velocity = 1 - (a * b).sum() / (a.norm() * b.norm())
    row = next(r for r in rows if (r["labels"], r["epoch"], r["group"]) == ("labels as they are", "2", "2"))
    assert float(row["velocity"]) == pytest.approx(float(velocity), rel=1e-3)


def test_wrong_labels_are_counted_in_their_groups(figure3):
    rows, out, _ = figure3
    scores, labels = mean_scores(out / "randomised", 2)
    wrong = labels != load_examples("digits").labels
    assert 0.05 < wrong.mean() <= 0.1
    order = sorted(range(len(scores)), key=lambda i: scores[i])
    for row in rows:
        of = order[int(row["first_rank"]) : int(row["last_rank"])]
        expected = sum(wrong[i] for i in of) if row["labels"].startswith("10%") else 0
        assert int(row["wrong_labels"]) == expected


def test_barriers_are_the_largest_excess_over_the_line(figure4):
    rows, out, _ = figure4
    path, _ = read_columns(
        out / "children" / "barrier.parquet",
        names=("spawn_epoch", "examples", "alpha", "error"),
        made_by="it",
    )
    assert len(rows) == 8
    for row in rows:
        points = [
            (alpha, error)
            for epoch, kind, alpha, error in zip(*path.values(), strict=True)
            if epoch == int(row["spawn_epoch"]) and kind == row["examples"]
        ]
        ends = dict(points)
        excess = max(e - ((1 - a) * ends[0.0] + a * ends[1.0]) for a, e in points)
        assert len(points) == 11
        assert float(row["error_barrier"]) == pytest.approx(excess, abs=1e-6)


def test_shown_images_are_at_the_ends_of_their_class(figure5):
    rows, out, _ = figure5
    scores, labels = mean_scores(out / "run-epoch2", 2)
    for label in range(10):
        own = sorted((i for i in range(len(labels)) if labels[i] == label), key=lambda i: scores[i])
        for end, expected in (("lowest", own[:8]), ("highest", own[-8:])):
            of = [row for row in rows if row["class"] == str(label) and row["end"] == end]
            digits = load_examples("digits")
            assert [int(row["id"]) for row in of] == digits.ids[expected].tolist()
            assert [float(row["score"]) for row in of] == pytest.approx(scores[expected].tolist(), abs=1e-6)
