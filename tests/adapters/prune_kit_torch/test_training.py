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
from prune_kit_torch import built_in_model, load_checkpoint, score, score_checkpoints, train_seeds
from prune_kit_torch.randomness import seeded

N, C = 90, 3
GENERATOR = torch.Generator().manual_seed(1)
X = torch.randn(N, 5, generator=GENERATOR)
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0.5).long()
DATA = (X, Y)
RECIPE = Recipe(batch_size=16)


def make_model():
    return nn.Sequential(nn.Linear(5, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, C))


def train(run, **options):
    options = {"seeds": 2, "epochs": 3, "at_epochs": (0, 2, 3), "recipe": RECIPE, **options}
    return train_seeds(make_model, options.pop("data", DATA), run=run, **options)


def content(run):
    """Every part as bytes, by seed and epoch."""
    run = Run.open(run.path)
    return {
        part: {name: run.read_part(*part)[name].tobytes() for name in run.read_part(*part)}
        for part in run.parts()
    }


def test_training_is_the_papers_recipe_written_out(tmp_path):
    """SGD with Nesterov momentum and weight decay by its formulas, on the order that the kit says."""
    recipe = Recipe(batch_size=16, milestones=(1, 2), learning_rate=0.05)
    make = lambda: nn.Linear(5, C)  # noqa: E731
    run = train_seeds(make, DATA, seeds=[3], epochs=3, run=tmp_path / "run", recipe=recipe)

    with seeded(stream_seed(3, "weights")):
        model = make()
    weights = [parameter.detach().double() for parameter in model.parameters()]
    velocity = [torch.zeros_like(w) for w in weights]
    for epoch in (1, 2, 3):
        rate = 0.05 * 0.2 ** (epoch - 1)
        generator = torch.Generator().manual_seed(stream_seed(3, "order", epoch))
        order = torch.randperm(N, generator=generator)
        for rows in order[: N - N % 16].split(16):
            x, y = X[rows].double(), F.one_hot(Y[rows], C).double()
            error = (torch.softmax(x @ weights[0].T + weights[1], dim=1) - y) / len(rows)
            gradients = [error.T @ x, error.sum(0)]
            for w, v, g in zip(weights, velocity, gradients, strict=True):
                g = g + 5e-4 * w
                v.mul_(0.9).add_(g)
                w.sub_(rate * (g + 0.9 * v))
    logits = X.double() @ weights[0].T + weights[1]
    expected = (torch.softmax(logits, 1) - F.one_hot(Y, C)).norm(dim=1)
    np.testing.assert_allclose(run.read_part(3, 3)["el2n"], expected.numpy(), rtol=1e-4)


def test_scores_are_those_of_the_saved_weights(tmp_path):
    run = train(tmp_path / "run", checkpoints=True)
    assert run.parts() == [(0, 0), (0, 2), (0, 3), (1, 0), (1, 2), (1, 3)]
    for seed, epoch in run.parts():
        model = make_model()
        load_checkpoint(model, run.checkpoint_path(seed, epoch))
        expected = score(model, DATA)
        assert np.array_equal(run.read_part(seed, epoch)["el2n"], expected["el2n"])


def test_epoch_0_is_initialisation(tmp_path):
    run = train(tmp_path / "run", at_epochs=[0], epochs=0, seeds=[1], checkpoints=True)
    with seeded(stream_seed(1, "weights")):
        model = make_model()
    assert torch.equal(load_file(run.checkpoint_path(1, 0))["0.weight"], model[0].weight)
    assert np.array_equal(run.read_part(1, 0)["el2n"], score(model, DATA)["el2n"])


def test_the_same_seed_gives_the_same_bits(tmp_path):
    first = content(train(tmp_path / "a"))
    torch.manual_seed(123)  # whatever the caller drew before
    assert content(train(tmp_path / "b")) == first


def test_a_seed_does_not_depend_on_which_others_are_trained(tmp_path):
    both = content(train(tmp_path / "a"))
    alone = content(train(tmp_path / "b", seeds=[1]))
    assert alone == {part: columns for part, columns in both.items() if part[0] == 1}
    assert both[0, 3] != both[1, 3]


def test_the_callers_random_streams_are_left_alone(tmp_path):
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    expected = torch.rand(3), np.random.rand(3)  # noqa: NPY002
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    train(tmp_path / "run")
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])  # noqa: NPY002


@pytest.mark.parametrize("stop_at", [(0, 1), (0, 2), (1, 1), (1, 3)])
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path, monkeypatch, stop_at):
    monkeypatch.setattr("prune_kit.training._SECONDS_BETWEEN_SAVES", 0.0)
    whole = content(train(tmp_path / "whole"))
    trained = []
    original = trainer_module.Trainer._train_epoch

    def until_stopped(self, training):
        if (training.seed, training.epoch) == stop_at:
            raise KeyboardInterrupt
        trained.append((training.seed, training.epoch))
        original(self, training)

    monkeypatch.setattr(trainer_module.Trainer, "_train_epoch", until_stopped)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run")
    stop_at = None
    assert content(train(tmp_path / "run")) == whole
    # No epoch was trained twice: the interrupted seed went on where it was.
    assert sorted(trained) == [(seed, epoch) for seed in (0, 1) for epoch in (1, 2, 3)]
    assert not list((tmp_path / "run" / "resume").glob("*.pt"))


def test_a_run_may_gain_seeds_and_epochs(tmp_path):
    whole = content(train(tmp_path / "whole", seeds=3, at_epochs=(1, 2, 3)))
    train(tmp_path / "run", seeds=1, at_epochs=(2,))
    assert content(train(tmp_path / "run", seeds=3, at_epochs=(1, 2, 3))) == whole


def test_a_run_of_something_else_is_refused_with_what_differs(tmp_path):
    before = content(train(tmp_path / "run"))
    for change, named in (
        ({"recipe": Recipe(batch_size=16, learning_rate=0.2)}, "recipe.learning_rate was 0.1, is now 0.2"),
        ({"data": (X + 1, Y)}, "data.fingerprint"),
        ({"scores": ("el2n", "margin")}, "scores"),
        ({"optimizer": torch.optim.Adam}, "replaced.optimizer"),
    ):
        with pytest.raises(RunConflictError, match=named):
            train(tmp_path / "run", **change)
    with pytest.raises(RunConflictError, match="model.structure"):
        train_seeds(lambda: nn.Linear(5, C), DATA, seeds=2, epochs=3, run=tmp_path / "run", recipe=RECIPE)
    assert content(Run.open(tmp_path / "run")) == before


def test_parts_that_the_user_replaces(tmp_path):
    seen = []

    def loss(logits, labels):
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=0.1)

    def augmentation(inputs):
        seen.append(inputs.shape)
        return inputs + 0.01 * torch.randn_like(inputs)

    rates = []

    def schedule(epoch):
        rates.append(epoch)
        return 1 / (1 + epoch)

    optimizer = lambda parameters: torch.optim.Adam(parameters, lr=0.01)  # noqa: E731
    options = {"loss": loss, "augmentation": augmentation, "schedule": schedule, "optimizer": optimizer}
    first = content(train(tmp_path / "a", seeds=1, **options))
    assert seen == [(16, 5)] * 15
    np.testing.assert_allclose(rates, np.arange(15) / 5)
    assert content(train(tmp_path / "b", seeds=1, **options)) == first
    assert content(train(tmp_path / "c", seeds=1))[0, 3] != first[0, 3]


def test_a_train_epoch_of_the_users(tmp_path):
    epochs = []

    def train_epoch(training):
        epochs.append((training.seed, training.epoch))
        assert training.model.training
        for batch in training.batches:
            training.optimizer.zero_grad()
            F.cross_entropy(training.model(batch.inputs), batch.labels).backward()
            training.optimizer.step()

    custom = content(train(tmp_path / "a", train_epoch=train_epoch))
    assert epochs == [(s, e) for s in (0, 1) for e in (1, 2, 3)]
    assert custom == content(train(tmp_path / "b"))


class Augmented(Dataset):
    def __len__(self):
        return N

    def __getitem__(self, i):
        return X[i] + 0.1 * torch.randn(5), int(Y[i])


def test_training_data_apart_from_the_data_that_is_scored(tmp_path):
    run = train(tmp_path / "a", seeds=1, training_data=Augmented())
    assert content(run) == content(train(tmp_path / "b", seeds=1, training_data=Augmented()))
    assert content(run)[0, 0] == content(train(tmp_path / "c", seeds=1))[0, 0]
    assert content(run)[0, 3] != content(Run.open(tmp_path / "c"))[0, 3]


def test_a_data_loader_is_trained_on_as_it_is_and_scored_in_order(tmp_path):
    loader = DataLoader(torch.utils.data.TensorDataset(X, Y), batch_size=30, shuffle=True)
    sizes = []

    def loss(logits, labels):
        sizes.append(len(labels))
        return F.cross_entropy(logits, labels)

    run = train(tmp_path / "run", data=loader, loss=loss, seeds=1)
    assert sizes == [30] * 9
    assert run.read_part(0, 3).ids.tolist() == list(range(N))
    assert content(run) == content(train(tmp_path / "again", data=loader, loss=loss, seeds=1))


def test_bfloat16_and_channels_last_train_and_score_in_float32(tmp_path):
    images = torch.randn(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    data = (images, torch.arange(40) % 4)
    make = built_in_model("small-cnn", data)
    runs = [
        train_seeds(
            make, data, seeds=1, epochs=2, run=tmp_path / str(i), recipe=Recipe(batch_size=8), **options
        )
        for i, options in enumerate(({}, {"precision": "bfloat16", "channels_last": True}))
    ]
    plain, fast = (run.read_part(0, 2)["el2n"] for run in runs)
    assert fast.dtype == np.float32
    assert not np.array_equal(plain, fast)
    assert np.abs(plain - fast).max() < 0.3


def test_scores_from_checkpoints_without_training(tmp_path):
    trained = train(tmp_path / "trained", checkpoints=True)
    files = sorted((tmp_path / "trained").glob("checkpoints/*/*.safetensors"))
    again = score_checkpoints(make_model, DATA, files, run=tmp_path / "scored")
    assert content(again) == content(trained)


def test_other_checkpoints_are_seeds_in_the_order_given(tmp_path):
    files = []
    for seed in (5, 6):
        torch.manual_seed(seed)
        files.append(tmp_path / f"model-{seed}.pt")
        torch.save(make_model().state_dict(), files[-1])
    with pytest.raises(PruneKitError, match="does not say which epoch"):
        score_checkpoints(make_model, DATA, files, run=tmp_path / "run")
    run = score_checkpoints(make_model, DATA, files, epoch=20, run=tmp_path / "run")
    assert run.parts() == [(0, 20), (1, 20)]
    model = make_model()
    load_checkpoint(model, files[1])
    assert np.array_equal(run.read_part(1, 20)["el2n"], score(model, DATA)["el2n"])
    with pytest.raises(PruneKitError, match="are both seed 0"):
        score_checkpoints(
            make_model, DATA, [tmp_path / "a" / "seed=0" / "epoch=1.pt"] * 2, run=tmp_path / "other"
        )


def test_training_that_diverged_is_told_with_seed_and_epoch(tmp_path):
    with pytest.raises(PruneKitError, match="seed 0, epoch 2.*NaN|seed 0, epoch 2.*finite"):
        train(tmp_path / "run", recipe=Recipe(batch_size=16, learning_rate=1e30))
    assert Run.open(tmp_path / "run").parts() == [(0, 0)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "`seeds`"),
        ({"seeds": [1, 1]}, "each seed once"),
        ({"epochs": -1}, "`epochs`"),
        ({"at_epochs": [4]}, "`at_epochs`"),
        ({"scores": ["el3n"]}, "el3n"),
        ({"precision": "float8"}, "`precision`"),
        ({"device": "tpu9"}, "`device`"),
    ],
)
def test_options_out_of_range(tmp_path, options, message):
    with pytest.raises(PruneKitError, match=message):
        train(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, "must return a torch.nn.Module"),
        (nn.Flatten, "must have parameters; Flatten has none"),
        (lambda: nn.Linear(5, C).requires_grad_(False), "must have parameters that require gradients"),
        (lambda: nn.Linear(4, C), "the model cannot take the data, float32 of shape"),
        (lambda: nn.Linear(5, 2), "the model gives 2 classes, so that labels must lie in 0 ... 1; got 2"),
        (lambda: nn.Unflatten(1, (5, 1)), "must have parameters"),
    ],
)
def test_models_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, make, message):
    with pytest.raises(PruneKitError, match=message):
        train_seeds(make, DATA, seeds=1, epochs=1, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_label_out_of_range_anywhere_is_found_before_training(tmp_path):
    labels = Y.clone()
    labels[N - 1] = C
    with pytest.raises(PruneKitError, match="labels must lie in 0 ... 2; got 3"):
        train(tmp_path / "run", data=(X, labels))
    assert not (tmp_path / "run").exists()


def test_probabilities_are_stored_where_asked_for(tmp_path):
    plain = train(tmp_path / "plain", checkpoints=True)
    run = train(tmp_path / "run", save_probabilities=True)
    for place, columns in content(plain).items():
        stored = run.read_part(*place)
        # The scores are the same bits beside them.
        assert {name: stored[name].tobytes() for name in columns} == columns
        model = make_model()
        load_checkpoint(model, plain.checkpoint_path(*place))
        with torch.no_grad():
            expected = torch.softmax(model.double().eval()(X.double()), dim=1)
        np.testing.assert_allclose(stored["probabilities"], expected, rtol=1e-4)
    with pytest.raises(RunConflictError, match="save_probabilities was null, is now true"):
        train(tmp_path / "plain", save_probabilities=True)
    files = sorted((tmp_path / "plain" / "checkpoints").rglob("*.safetensors"))
    again = score_checkpoints(make_model, DATA, files, run=tmp_path / "again", save_probabilities=True)
    for place in run.parts():
        expected = run.read_part(*place)["probabilities"]
        np.testing.assert_allclose(again.read_part(*place)["probabilities"], expected, rtol=1e-5)
