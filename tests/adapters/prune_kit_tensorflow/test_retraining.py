"""Retraining on subsets: accuracies against predictions by hand, standardisation, tf.data."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from prune_kit import PruneKitError, Recipe, keep_random
from prune_kit.data import Examples
from prune_kit_tensorflow import as_source, load_checkpoint, retrain

N, TEST = 96, 40
RECIPE = Recipe(batch_size=16, learning_rate=0.05)


def images(n, seed, lighter=0):
    """Bytes whose brightness grows with the place in the data, so that subsets have other moments."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    pixels = rng.normal(60, 25, (n, 5, 5, 2)) + 60 * np.linspace(0, 1, n)[:, None, None, None] + lighter
    pixels[np.arange(n), labels, labels] += 70
    return Examples(pixels.clip(0, 255).astype(np.uint8), labels, np.arange(n) + 500, None, f"made {seed}")


DATA, TEST_DATA = images(N, 0), images(TEST, 1, lighter=20)
SUBSETS = {
    "random": lambda seed: keep_random(N, count=40, seed=seed),
    "all": np.arange(N)[::-1].copy(),
    "full": None,
}


def make_model():
    return keras.Sequential([keras.Input((5, 5, 2)), keras.layers.Flatten(), keras.layers.Dense(3)])


def standardised_by_hand(examples):
    mean = DATA.inputs.astype(np.float64).mean(axis=(0, 1, 2))
    std = DATA.inputs.astype(np.float64).std(axis=(0, 1, 2))
    return ((examples.inputs - mean) / std).astype(np.float32)


@pytest.fixture(scope="module")
def retrained(tmp_path_factory):
    return retrain(
        make_model,
        DATA,
        TEST_DATA,
        subsets=SUBSETS,
        seeds=2,
        epochs=3,
        at_epochs=[0, 3],
        recipe=RECIPE,
        out=tmp_path_factory.mktemp("retrained") / "out",
        checkpoints=True,
        device="cpu",
    )


def test_accuracy_is_what_the_saved_weights_predict_on_test_images_standardised_as_all_training_images(
    retrained,
):
    assert len(retrained.rows) == 3 * 2 * 2
    model = make_model()
    for row in retrained.rows:
        load_checkpoint(model, retrained.run(row["subset"]).checkpoint_path(row["seed"], row["epoch"]))
        predicted = np.argmax(model(standardised_by_hand(TEST_DATA)), axis=1)
        right = sum(int(p) == int(y) for p, y in zip(predicted, TEST_DATA.labels, strict=True))
        assert row["accuracy"] == right / TEST
    assert np.mean([row["accuracy"] for row in retrained.rows if row["epoch"] == 3]) > 0.6


def test_a_seed_begins_with_the_same_weights_and_all_examples_are_all_of_the_data(retrained):
    def weights(name, seed, epoch):
        return load_file(retrained.run(name).checkpoint_path(seed, epoch))

    for seed in (0, 1):
        for name, epoch in (("random", 0), ("all", 0), ("all", 3)):
            for key, values in weights(name, seed, epoch).items():
                np.testing.assert_array_equal(values, weights("full", seed, epoch)[key])
    assert {row["steps"] for row in retrained.summary()} == {3 * (N // 16)}


def test_training_images_of_a_subset_are_standardised_as_all_of_them():
    kept = as_source(DATA.take(np.arange(40)), like=as_source(DATA))
    expected = standardised_by_hand(DATA)[:40]
    np.testing.assert_allclose(kept.inputs, expected, atol=1e-5)
    assert abs(expected.mean()) > 0.3  # by moments of its own, it would be 0


def test_a_pipeline_is_shuffled_by_what_prepares_it(tmp_path):
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, N)
    inputs = (rng.normal(size=(N, 5)) + 2 * np.eye(5)[labels]).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((inputs, labels))
    test = tf.data.Dataset.from_tensor_slices((inputs[:30] + 0.01, labels[:30]))
    made = retrain(
        lambda: keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)]),
        data,
        test,
        subsets={"kept": range(48), "full": None},
        seeds=1,
        epochs=2,
        recipe=RECIPE,
        equal="epochs",
        prepare=lambda kept: kept.shuffle(N, seed=0).batch(8),
        out=tmp_path / "out",
    )
    assert [row["steps"] for row in made.summary()] == [2 * 48 // 8, 2 * N // 8]
    assert all(row["accuracy"] > 0.5 for row in made.summary())


def test_images_against_arrays_are_refused(tmp_path):
    arrays = (np.zeros((4, 5, 5, 2), np.float32), np.zeros(4, int))
    with pytest.raises(PruneKitError, match="must be of the same kind; got Examples and tuple"):
        retrain(make_model, DATA, arrays, subsets=SUBSETS, epochs=1, out=tmp_path / "out")
