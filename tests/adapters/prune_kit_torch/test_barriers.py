"""Children trained by a loop written out, from the same weights, and the error between them by hand."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from prune_kit.training import Recipe, stream_seed
from prune_kit_torch import error_barriers, load_checkpoint, train_seeds

N = 40
RECIPE = Recipe(batch_size=8, learning_rate=0.1)


def make_model():
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3))


def data():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, N)
    return (rng.normal(size=(N, 5)) + labels[:, None]).astype(np.float32), labels, 1000 - np.arange(N)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    return train_seeds(
        make_model, data(), seeds=2, epochs=2, at_epochs=[0, 1, 2], run=folder,
        recipe=RECIPE, checkpoints=True, device="cpu",
    )  # fmt: skip


def child(run, seed, spawn, epochs):
    """SGD with Nesterov momentum from the checkpoint on, in the child's own order."""
    x, y, _ = (torch.from_numpy(np.asarray(each)) for each in data())
    model = make_model()
    load_checkpoint(model, run.checkpoint_path(0, spawn))
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=RECIPE.weight_decay
    )
    for epoch in range(spawn + 1, epochs + 1):
        generator = torch.Generator().manual_seed(stream_seed(seed, "order", epoch))
        for rows in torch.randperm(N, generator=generator).split(8):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return model


def test_the_error_between_children_that_were_trained_by_hand(run, tmp_path):
    found = error_barriers(
        make_model, data(), run, out=tmp_path / "b", spawn_epochs=[0, 1], epochs=3, recipe=RECIPE, points=5,
        group_size=8, device="cpu",
    )  # fmt: skip
    x, y, _ = data()
    tables = [run.read_part(seed, 2) for seed in (0, 1)]
    scores = (tables[0]["el2n"].astype(float) + tables[1]["el2n"]) / 2
    highest = np.argsort(scores, kind="stable")[-8:]
    for spawn in (0, 1):
        folder = tmp_path / f"b/runs/seed=0/spawn={spawn}/checkpoints"
        seeds = sorted(int(each.name.partition("=")[2]) for each in folder.iterdir())
        first, second = (child(run, seed, spawn, 3) for seed in seeds)
        for kind, rows in (("highest", highest), ("all", np.arange(N))):
            errors = []
            for alpha in np.linspace(0, 1, 5):
                between = copy.deepcopy(first).double()
                pairs = zip(between.parameters(), first.parameters(), second.parameters(), strict=True)
                with torch.no_grad():
                    for parameter, a, b in pairs:
                        parameter.copy_((1 - alpha) * a.double() + alpha * b.double())
                    logits = between(torch.from_numpy(x[rows]).double())
                errors.append((logits.argmax(1).numpy() != y[rows]).mean())
            mine = (found["examples"] == kind) & (found["spawn_epoch"] == spawn)
            np.testing.assert_allclose(found["error"][mine], errors)


def test_again_it_trains_nothing(run, tmp_path):
    options = {"spawn_epochs": [1], "epochs": 2, "recipe": RECIPE, "points": 3, "device": "cpu"}
    first = error_barriers(make_model, data(), run, out=tmp_path / "b", **options)

    def no_model():
        raise AssertionError("a model was made")

    again = error_barriers(no_model, data(), run, out=tmp_path / "b", **options)
    assert all(np.array_equal(first[name], again[name]) for name in first)
