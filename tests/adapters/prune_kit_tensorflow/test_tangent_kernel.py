"""Kernels against the Jacobian, one gradient for each example and logit; and velocities from checkpoints."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from prune_kit.errors import PruneKitError
from prune_kit.training import Recipe
from prune_kit_tensorflow import kernel_velocities, load_checkpoint, neural_tangent_kernel, train_seeds
from prune_kit_tensorflow.tangent_kernel import _parts


def kernel_of(model, x, variables=None):
    rows = []
    variables = variables or model.trainable_variables
    for i in range(len(x)):
        with tf.GradientTape(persistent=True) as tape:
            logits = model(x[i : i + 1], training=False)
            columns = [logits[0, k] for k in range(logits.shape[1])]
        for column in columns:
            grads = tape.gradient(column, variables, unconnected_gradients="zero")
            rows.append(np.concatenate([np.ravel(tf.convert_to_tensor(g)) for g in grads]))
    stacked = np.array(rows, np.float64)
    return stacked @ stacked.T


def network():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((5, 5, 2)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def images(n=4):
    return np.random.default_rng(0).normal(size=(n, 5, 5, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.mark.parametrize("memory", [2**30, 7000], ids=["at once", "in parts"])
def test_the_definition(model, memory):
    before = [w.numpy() for w in model.weights]
    kernel = neural_tangent_kernel(model, images(), memory=memory)
    assert kernel.dtype == tf.float32
    expected = kernel_of(model, images())
    np.testing.assert_allclose(kernel, expected, rtol=0, atol=1e-5 * expected.max())
    np.testing.assert_array_equal(kernel, np.transpose(kernel))
    eigenvalues = np.linalg.eigvalsh(np.array(kernel, np.float64))
    assert eigenvalues.min() > -1e-5 * eigenvalues.max()
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_float64_shared_layers_and_recurrence():
    x = keras.Input((4, 3), dtype="float64")
    shared = keras.layers.Dense(3, activation="tanh", dtype="float64")
    h = keras.layers.LSTM(4, dtype="float64")(shared(shared(x)))
    model = keras.Model(x, keras.layers.Dense(2, dtype="float64")(h))
    inputs = np.random.default_rng(0).normal(size=(3, 4, 3))
    kernel = neural_tangent_kernel(model, inputs)
    assert kernel.dtype == tf.float64
    np.testing.assert_allclose(kernel, kernel_of(model, inputs), rtol=1e-10, atol=1e-12)


def test_some_variables(model):
    chosen = model.trainable_variables[-2:]
    kernel = neural_tangent_kernel(model, images(), variables=chosen)
    np.testing.assert_allclose(kernel, kernel_of(model, images(), chosen), rtol=1e-4, atol=1e-5)


def test_parts_are_all_columns_once():
    sizes = [3, 10, 2, 2, 5, 1]
    parts = list(_parts(sizes, 4))
    assert all(stop - start <= 4 for _, start, stop in parts)
    places = np.cumsum([0, *sizes])
    columns = []
    for chosen, start, stop in parts:
        own = np.concatenate([np.arange(places[i], places[i + 1]) for i in chosen])
        columns += own[start:stop].tolist()
    assert columns == list(range(sum(sizes)))


def test_bad_input(model):
    with pytest.raises(PruneKitError, match="finite"):
        neural_tangent_kernel(model, images() * np.nan)
    with pytest.raises(PruneKitError, match="must be a Keras model"):
        neural_tangent_kernel(3, images())
    frozen = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, trainable=False)])
    with pytest.raises(PruneKitError, match="at least one parameter"):
        neural_tangent_kernel(frozen, np.ones((2, 2), np.float32))
    with pytest.raises(PruneKitError, match="must not depend on the other examples"):
        neural_tangent_kernel(_Centred(), images()[:, 0, 0])


class _Centred(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)

    def call(self, x):
        return self.dense(x - tf.reduce_mean(x, 0))


def make_model():
    return keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(3)]
    )


def test_velocities(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 24)
    x = (rng.normal(size=(24, 5)) + labels[:, None]).astype(np.float32)
    run = train_seeds(
        make_model, (x, labels), seeds=1, epochs=1, at_epochs=[0, 1], run=tmp_path / "run",
        recipe=Recipe(batch_size=8), checkpoints=True,
    )  # fmt: skip
    columns = kernel_velocities(
        make_model, (x, labels), run, out=tmp_path / "v.parquet", group_size=6, groups=2, device="cpu"
    )
    order = np.argsort(run.read_part(0, 1)["el2n"], kind="stable")
    for chosen, found in zip((order[:6], order[-6:]), columns["velocity"], strict=True):
        kernels = []
        for epoch in (0, 1):
            model = make_model()
            load_checkpoint(model, run.checkpoint_path(0, epoch))
            kernels.append(kernel_of(model, x[chosen]))
        one, other = kernels
        expected = 1 - (one * other).sum() / (np.linalg.norm(one) * np.linalg.norm(other))
        np.testing.assert_allclose(found, expected, rtol=1e-4)
