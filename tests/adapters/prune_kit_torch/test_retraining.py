"""Retraining on subsets: accuracies against predictions by hand, standardisation, other kinds of data."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, Dataset

from prune_kit import PruneKitError, Recipe, Retraining, keep_random
from prune_kit.data import Examples
from prune_kit_torch import as_source, retrain

N, TEST = 96, 40
RECIPE = Recipe(batch_size=16, learning_rate=0.05)


def images(n, seed, lighter=0):
    """Bytes whose brightness grows with the place in the data, so that subsets have other moments."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    pixels = rng.normal(60, 25, (n, 6, 6, 2)) + 60 * np.linspace(0, 1, n)[:, None, None, None] + lighter
    pixels[np.arange(n), labels, labels] += 70
    return Examples(pixels.clip(0, 255).astype(np.uint8), labels, np.arange(n) + 500, None, f"made {seed}")


DATA, TEST_DATA = images(N, 0), images(TEST, 1, lighter=20)
SUBSETS = {"dark": np.arange(40), "all": np.arange(N)[::-1].copy(), "full": None}


def make_model():
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


def standardised_by_hand(examples):
    mean = DATA.inputs.astype(np.float64).mean(axis=(0, 1, 2))
    std = DATA.inputs.astype(np.float64).std(axis=(0, 1, 2))
    return torch.tensor(((examples.inputs - mean) / std).transpose(0, 3, 1, 2), dtype=torch.float32)


def accuracy_by_hand(checkpoint):
    model = make_model()
    model.load_state_dict(load_file(checkpoint))
    model.eval()
    with torch.no_grad():
        predicted = model(standardised_by_hand(TEST_DATA)).argmax(dim=1).numpy()
    right = sum(int(p) == int(y) for p, y in zip(predicted, TEST_DATA.labels, strict=True))
    return right / TEST


@pytest.fixture(scope="module")
def retrained(tmp_path_factory):
    return retrain(
        make_model,
        DATA,
        TEST_DATA,
        subsets={**SUBSETS, "random": lambda seed: keep_random(N, count=40, seed=seed)},
        seeds=2,
        epochs=4,
        at_epochs=[0, 4],
        recipe=RECIPE,
        out=tmp_path_factory.mktemp("retrained") / "out",
        checkpoints=True,
        device="cpu",
    )


def accuracies(retrained, name, epoch):
    return [row["accuracy"] for row in retrained.rows if (row["subset"], row["epoch"]) == (name, epoch)]


def test_accuracy_is_what_the_saved_weights_predict_on_test_images_standardised_as_all_training_images(
    retrained,
):
    assert len(retrained.rows) == 4 * 2 * 2
    for row in retrained.rows:
        checkpoint = retrained.run(row["subset"]).checkpoint_path(row["seed"], row["epoch"])
        assert row["accuracy"] == accuracy_by_hand(checkpoint)
    # Something was learned, and not everywhere the same.
    assert np.mean(accuracies(retrained, "full", 4)) > 0.6 > np.mean(accuracies(retrained, "full", 0))
    assert len({row["accuracy"] for row in retrained.rows}) > 4


def test_a_seed_begins_with_the_same_weights_on_every_subset(retrained):
    for seed in (0, 1):
        first = [
            load_file(retrained.run(name).checkpoint_path(seed, 0)) for name in ("dark", "random", "full")
        ]
        for name, weights in first[0].items():
            assert all(torch.equal(weights, other[name]) for other in first[1:])


def test_a_subset_of_all_examples_is_trained_as_all_of_the_data_bit_for_bit(retrained):
    for seed in (0, 1):
        all_of, full = (load_file(retrained.run(name).checkpoint_path(seed, 4)) for name in ("all", "full"))
        assert all(torch.equal(weights, full[name]) for name, weights in all_of.items())


def test_every_subset_takes_the_same_number_of_steps(retrained):
    assert {row["steps"] for row in retrained.summary()} == {4 * (N // 16)}


def test_the_summary_is_there_when_it_is_read_again(retrained):
    assert Retraining.read(retrained.path).summary() == retrained.summary()


def test_training_images_of_a_subset_are_standardised_as_all_of_them():
    source = as_source(DATA)
    kept = as_source(DATA.take(np.arange(40)), like=source)
    expected = standardised_by_hand(DATA)[:40]
    torch.testing.assert_close(kept.inputs, expected)
    assert abs(float(expected.mean())) > 0.3  # by moments of its own, it would be 0
    assert kept.fingerprint() == as_source(DATA.take(np.arange(40))).fingerprint()


def test_equal_epochs_are_those_of_a_training_on_the_subset_alone(tmp_path):
    options = {"seeds": [3], "epochs": 3, "recipe": RECIPE, "equal": "epochs", "checkpoints": True}
    made = retrain(make_model, DATA, TEST_DATA, subsets=SUBSETS, out=tmp_path / "a", **options)
    steps = {row["subset"]: row["steps"] for row in made.summary()}
    assert steps == {"dark": 3 * (40 // 16), "all": 3 * (N // 16), "full": 3 * (N // 16)}


class Pairs(Dataset):
    def __init__(self):
        rng = np.random.default_rng(2)
        self.labels = rng.integers(0, 3, N)
        self.inputs = (rng.normal(size=(N, 5)) + 2 * np.eye(5)[self.labels]).astype(np.float32)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return torch.from_numpy(self.inputs[i]), int(self.labels[i])


def linear():
    return nn.Linear(5, 3)


def test_loaders_and_datasets_of_the_users_own(tmp_path):
    data = Pairs()
    test = (data.inputs[:30] + 0.01, data.labels[:30])
    options = {"subsets": {"kept": range(48), "full": None}, "seeds": 2, "epochs": 2, "recipe": RECIPE}
    of_dataset = retrain(linear, data, test, out=tmp_path / "dataset", **options)
    loader = DataLoader(data, batch_size=8, shuffle=True)
    of_loader = retrain(linear, loader, test, out=tmp_path / "loader", **options)
    assert {row["steps"] for row in of_dataset.summary()} == {2 * N // 16}
    # A loader has batches of its own.
    assert {row["steps"] for row in of_loader.summary()} == {2 * N // 8}
    assert all(row["accuracy"] > 0.5 for row in of_loader.summary())


def test_what_is_trained_on_may_be_prepared(tmp_path):
    seen = []

    def prepare(kept):
        seen.append(len(kept))
        return DataLoader(kept, batch_size=4, shuffle=True)

    data = Pairs()
    made = retrain(
        linear,
        data,
        (data.inputs[:30] + 0.01, data.labels[:30]),
        subsets={"kept": range(48), "full": None},
        seeds=1,
        epochs=1,
        recipe=RECIPE,
        equal="epochs",
        prepare=prepare,
        out=tmp_path / "out",
    )
    assert seen == [48, N]
    assert [row["steps"] for row in made.summary()] == [48 // 4, N // 4]


def test_options_of_training_are_passed_on(tmp_path):
    data = Pairs()
    test = (data.inputs[:30] + 0.01, data.labels[:30])
    still = retrain(
        linear,
        data,
        test,
        subsets={"kept": range(48)},
        seeds=1,
        epochs=2,
        at_epochs=[0, 2],
        out=tmp_path / "out",
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.0),
    )
    assert len({row["accuracy"] for row in still.rows}) == 1
    assert "optimizer" in still.run("kept").config["replaced"]


def test_images_against_arrays_are_refused(tmp_path):
    with pytest.raises(PruneKitError, match="must be of the same kind; got Examples and tuple"):
        retrain(
            make_model,
            DATA,
            (np.zeros((4, 2, 6, 6), np.float32), np.zeros(4, int)),
            subsets=SUBSETS,
            epochs=1,
            out=tmp_path / "out",
        )
    assert not (tmp_path / "out").exists()
