"""Each point of a path against the interpolated network written out in float64."""

import keras
import numpy as np
import pytest

from prune_kit.errors import PruneKitError, StoreError
from prune_kit_tensorflow import error_path, linear_path, save_checkpoint

N, C = 60, 3
RNG = np.random.default_rng(2)
X, Y = RNG.normal(size=(N, 4)).astype(np.float32), RNG.integers(0, C, N)
TRAINING = ((RNG.normal(size=(50, 4)) + 1).astype(np.float32), np.zeros(50, np.int64))


@pytest.fixture(scope="module")
def model():
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(6), layers.BatchNormalization(), layers.ReLU(), layers.Dense(C)]
    )


def random_state(model, seed):
    """Weights, and moving variances above 0, all drawn."""
    rng = np.random.default_rng(seed)
    return [
        rng.uniform(0 if "variance" in weight.path else -1, 1, weight.shape).astype(np.float32) + 0.01
        for weight in model.weights
    ]


@pytest.fixture(scope="module")
def ends(model):
    return random_state(model, 1), random_state(model, 2)


def mixed(ends, alpha):
    return [(1 - alpha) * a.astype(float) + alpha * b.astype(float) for a, b in zip(*ends, strict=True)]


def judged(state, x, mean, variance):
    """Whether each example is wrong, and its cross-entropy."""
    kernel, bias, gamma, beta, *_, last, last_bias = state
    hidden = (x @ kernel + bias - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    logits = np.maximum(hidden, 0) @ last + last_bias
    shifted = logits - logits.max(1, keepdims=True)
    return logits.argmax(1) != Y, np.log(np.exp(shifted).sum(1)) - shifted[np.arange(N), Y]


def test_each_point_is_the_interpolated_network_in_float64(model, ends):
    path = linear_path(model, *ends, (X, Y), points=6, batch_size=17)
    np.testing.assert_allclose(path.alphas, [0, 0.2, 0.4, 0.6, 0.8, 1.0])
    for k, alpha in enumerate(path.alphas):
        state = mixed(ends, alpha)
        wrong, loss = judged(state, X.astype(float), state[4], state[5])
        assert np.array_equal(path.wrong[k], wrong)
        np.testing.assert_allclose(path.loss[k], loss, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(error_path(model, *ends, (X, Y), points=6), path.wrong.mean(axis=1))


def test_recomputed_statistics_are_those_of_the_training_data_at_each_point(model, ends):
    path = linear_path(model, *ends, (X, Y), points=3, recompute_statistics=TRAINING, batch_size=50)
    for k, alpha in enumerate(path.alphas):
        state = mixed(ends, alpha)
        hidden = TRAINING[0].astype(float) @ state[0] + state[1]
        wrong, loss = judged(state, X.astype(float), hidden.mean(0), hidden.var(0))
        assert np.array_equal(path.wrong[k], wrong)
        np.testing.assert_allclose(path.loss[k], loss, rtol=1e-3, atol=1e-4)


def test_the_model_is_found_again_as_it_was(model, ends):
    before = model.get_weights()
    error_path(model, *ends, (X, Y), points=2, recompute_statistics=TRAINING)
    infinite = [ends[0][0] * np.inf, *ends[0][1:]]
    with pytest.raises(PruneKitError, match="alpha 0: "):
        error_path(model, infinite, ends[1], (X, Y), points=2)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


def test_ends_may_be_checkpoints(model, ends, tmp_path):
    before, files = model.get_weights(), []
    for name, state in zip("ab", ends, strict=True):
        model.set_weights(state)
        files.append(save_checkpoint(model, tmp_path / f"{name}.safetensors"))
    model.set_weights(before)
    found = error_path(model, *files, (X, Y), points=3)
    assert np.array_equal(found, error_path(model, *ends, (X, Y), points=3))
    with pytest.raises(StoreError, match="there is no checkpoint nowhere"):
        error_path(model, "nowhere", ends[1], (X, Y))


def test_what_is_no_path_is_refused(model, ends):
    with pytest.raises(PruneKitError, match="`points` must be a whole number of 2 or more"):
        error_path(model, *ends, (X, Y), points=1)
    with pytest.raises(PruneKitError, match="state_b"):
        error_path(model, ends[0], ends[1][:-1], (X, Y))
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(C)])
    weights = plain.get_weights()
    with pytest.raises(PruneKitError, match="batch normali"):
        error_path(plain, weights, weights, (X, Y), recompute_statistics=(X, Y))
