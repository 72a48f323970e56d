import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, Dataset

import prune_kit_torch.trainer as trainer_module
from prune_kit import PruneKitError, Recipe, Run, RunConflictError
from prune_kit.training import stream_seed
from prune_kit_torch import save_checkpoint, train_seeds

N, C = 90, 3
GENERATOR = torch.Generator().manual_seed(1)
X = torch.randn(N, 5, generator=GENERATOR)
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0.5).long()
RECIPE = Recipe(batch_size=16)  # 5 steps are a pass


def make_model():
    return nn.Sequential(nn.Linear(5, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, C))


def train(run, make=make_model, **options):
    options = {"seeds": 2, "epochs": 3, "at_epochs": (2, 3), "recipe": RECIPE, **options}
    return train_seeds(make, options.pop("data", (X, Y)), run=run, **options)


def content(run):
    run = Run.open(run.path)
    return {part: run.read_part(*part)["el2n"].tobytes() for part in run.parts()}


def written_out(weights, seed, epochs, *, steps, recipe, after=0):
    """Nesterov SGD on passes of 5 batches by its formulas, float64; an epoch has `steps` steps."""
    velocity = [torch.zeros_like(w) for w in weights]
    for at in range(after * steps, epochs * steps):
        order = torch.randperm(
            N, generator=torch.Generator().manual_seed(stream_seed(seed, "order", at // 5 + 1))
        )
        rows = order[at % 5 * 16 : at % 5 * 16 + 16]
        rate = recipe.learning_rate * 0.2 ** sum(at // steps >= m for m in recipe.milestones)
        x, y = X[rows].double(), F.one_hot(Y[rows], C).double()
        error = (torch.softmax(x @ weights[0].T + weights[1], dim=1) - y) / len(rows)
        for w, v, g in zip(weights, velocity, [error.T @ x, error.sum(0)], strict=True):
            g = g + 5e-4 * w
            v.mul_(0.9).add_(g)
            w.sub_(rate * (g + 0.9 * v))
    return weights


@pytest.mark.parametrize("steps", [3, 8])
@pytest.mark.parametrize("after", [0, 2])
def test_passes_go_on_over_the_epochs_at_the_schedules_rates(tmp_path, steps, after):
    recipe = Recipe(batch_size=16, milestones=(1, 3), learning_rate=0.5)
    initial = nn.Linear(5, C)
    file = save_checkpoint(initial, tmp_path / "initial.safetensors")
    run = train(
        tmp_path / "run",
        lambda: nn.Linear(5, C),
        seeds=[3],
        epochs=5,
        at_epochs=[5],
        recipe=recipe,
        steps_per_epoch=steps,
        initial_weights=file,
        initial_epoch=after,
        checkpoints=True,
    )
    begun = [p.detach().double().clone() for p in initial.parameters()]
    weight, bias = written_out(begun, 3, 5, steps=steps, recipe=recipe, after=after)
    trained = load_file(run.checkpoint_path(3, 5))
    np.testing.assert_allclose(trained["weight"], weight, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(trained["bias"], bias, rtol=1e-4, atol=1e-6)


def test_the_datas_own_number_of_steps_is_the_default(tmp_path):
    assert content(train(tmp_path / "a", steps_per_epoch=5)) == content(train(tmp_path / "b"))
    assert "steps_per_epoch" not in json.loads((tmp_path / "b" / "run.json").read_text())["config"]


def test_a_subset_takes_as_many_steps_as_all_of_the_data(tmp_path):
    steps = []

    def count(training):
        steps.append(sum(1 for _ in training.batches))

    train(tmp_path / "run", training_data=(X[:37], Y[:37]), steps_per_epoch=5, train_epoch=count)
    assert steps == [5] * 6


@pytest.mark.parametrize("kind", ["arrays", "data set", "loader"])
def test_an_example_comes_once_in_a_pass_whatever_the_epochs(tmp_path, kind):
    class Numbered(Dataset):
        def __len__(self):
            return 32

        def __getitem__(self, i):
            return X[i], Y[i], i

    data = {
        "arrays": (X[:32], Y[:32]),
        "data set": Numbered(),
        "loader": DataLoader(Numbered(), batch_size=8, shuffle=True),  # no generator: the global one draws
    }[kind]
    seen = []

    def look(training):
        for batch in training.batches:
            # Inputs tell which example it is: ids do not travel with every kind of data.
            seen.append([int((X[:32] == x).all(1).nonzero()) for x in batch.inputs])
            torch.rand(3)  # what the training draws must not change the order

    train(
        tmp_path / "run",
        data=data,
        seeds=[0],
        epochs=6,
        at_epochs=[6],
        steps_per_epoch=3,
        train_epoch=look,
        recipe=Recipe(batch_size=8),
    )
    drawn = np.concatenate(seen)
    assert len(drawn) == 6 * 3 * 8
    passes = drawn[: len(drawn) // 32 * 32].reshape(-1, 32)
    assert all(sorted(each) == list(range(32)) for each in passes.tolist())
    assert not np.array_equal(passes[0], passes[1])


@pytest.mark.parametrize("stop_at", [(0, 3), (1, 5)])
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path, monkeypatch, stop_at):
    monkeypatch.setattr("prune_kit.training._SECONDS_BETWEEN_SAVES", 0.0)
    options = {"epochs": 6, "at_epochs": [6], "steps_per_epoch": 3, "initial_epoch": 1}
    options["initial_weights"] = save_checkpoint(make_model(), tmp_path / "initial.safetensors")
    whole = content(train(tmp_path / "whole", **options))
    trained = []
    original = trainer_module.Trainer._train_epoch

    def until_stopped(self, training):
        if (training.seed, training.epoch) == stop_at:
            raise KeyboardInterrupt
        trained.append((training.seed, training.epoch))
        original(self, training)

    monkeypatch.setattr(trainer_module.Trainer, "_train_epoch", until_stopped)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", **options)
    stop_at = None
    assert content(train(tmp_path / "run", **options)) == whole
    assert sorted(trained) == [(seed, epoch) for seed in (0, 1) for epoch in range(2, 7)]


@pytest.mark.parametrize("steps", [None, 7])
def test_going_on_from_a_checkpoint_is_the_training_that_it_is_from(tmp_path, steps):
    """Without momentum nothing but the weights is carried over from the epochs before: the same bits."""
    options = {"seeds": [4], "recipe": Recipe(batch_size=16, momentum=0.0), "steps_per_epoch": steps}
    whole = train(tmp_path / "whole", at_epochs=(2, 3), checkpoints=True, **options)
    child = train(
        tmp_path / "child",
        initial_weights=whole.checkpoint_path(4, 2),
        initial_epoch=2,
        checkpoints=True,
        **options,
    )
    assert content(child) == content(whole)
    for name, tensor in load_file(whole.checkpoint_path(4, 3)).items():
        assert torch.equal(load_file(child.checkpoint_path(4, 3))[name], tensor)


def test_children_of_one_checkpoint_differ_by_their_order_alone(tmp_path):
    file = save_checkpoint(make_model(), tmp_path / "initial.safetensors")
    options = {"initial_weights": file, "initial_epoch": 2}
    found = content(train(tmp_path / "run", **options))
    assert found[0, 2] == found[1, 2]  # where they began
    assert found[0, 3] != found[1, 3]
    config = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    assert config["initial_epoch"] == 2
    assert len(config["initial_weights"]) == 64

    save_checkpoint(make_model(), file)
    with pytest.raises(RunConflictError, match="what differs: initial_weights"):
        train(tmp_path / "run", **options)


def test_weights_that_do_not_fit_are_refused_before_anything_is_written(tmp_path):
    file = save_checkpoint(nn.Linear(2, 2), tmp_path / "other.safetensors")
    with pytest.raises(PruneKitError, match="other.safetensors does not fit the model"):
        train(tmp_path / "run", initial_weights=file)
    with pytest.raises(PruneKitError, match="there is no checkpoint nowhere"):
        train(tmp_path / "run", initial_weights="nowhere")
    with pytest.raises(PruneKitError, match="`initial_epoch` 2 is the age of `initial_weights`"):
        train(tmp_path / "run", initial_epoch=2)
    assert not (tmp_path / "run").exists()


def test_the_learning_rate_of_a_step_counts_epochs_of_so_many_steps(tmp_path):
    asked = []

    def schedule(epoch):
        asked.append(epoch)
        return 1.0

    train(tmp_path / "run", seeds=[0], epochs=2, at_epochs=[2], steps_per_epoch=4, schedule=schedule)
    assert [math.isclose(a, b) for a, b in zip(asked, np.arange(8) / 4, strict=True)] == [True] * 8
