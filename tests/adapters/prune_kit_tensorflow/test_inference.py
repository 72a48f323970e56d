import keras
import numpy as np
import pytest
import tensorflow as tf

from prune_kit.errors import PruneKitError
from prune_kit_tensorflow import predict
from prune_kit_tensorflow.compiled import Compiled
from prune_kit_tensorflow.devices import choose_device

X = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
Y = np.arange(10) % 3


def make_model():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(8),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.ReLU(),
            layers.Dense(3),
        ]
    )
    model.layers[1].moving_mean.assign(np.linspace(-1, 1, 8))
    return model


def reference(model):
    """The forward pass written out, in float64, with the moving statistics."""
    first, norm, _, _, last = model.layers
    (w, b), (v, c) = ([np.float64(x) for x in layer.get_weights()] for layer in (first, last))
    gamma, beta, mean, variance = (np.float64(x) for x in norm.get_weights())
    hidden = (X @ w + b - mean) / np.sqrt(variance + norm.epsilon) * gamma + beta
    return np.maximum(hidden, 0) @ v + c


def logits(model, **options):
    return np.concatenate([batch.logits for batch in predict(model, (X, Y), **options)])


@pytest.mark.parametrize("batch_size", [1, 3, 10, 256])
def test_logits_are_those_of_the_model_at_test_time_whatever_the_batch_size(batch_size):
    model = make_model()
    np.testing.assert_allclose(logits(model, batch_size=batch_size), reference(model), rtol=1e-4, atol=1e-5)


def test_the_model_is_found_again_as_it_was():
    model = make_model()
    model.layers[1].trainable = False
    before = model.get_weights()
    list(predict(model, (X, Y), features=True))
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))
    assert not model.layers[1].trainable
    assert not tf.config.functions_run_eagerly()


def test_functions_run_as_they_did_after_an_exception():
    with pytest.raises(PruneKitError, match=r"cannot take the data, float32 of shape \(None, 3\)"):
        list(predict(make_model(), (X[:, :3], Y)))
    assert not tf.config.functions_run_eagerly()


def test_a_ragged_last_batch_does_not_trace_the_model_again():
    calls = []

    class Counted(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = make_model()

        def call(self, x):
            calls.append(x.shape)
            return self.inner(x)

    model = Counted()
    model.build((None, 4))
    calls.clear()
    compiled = Compiled(model)
    for start in (0, 4, 8):
        compiled(tf.constant(X[start : start + 4]))
    assert calls == [(None, 4)]


def test_sequences_of_other_lengths_trace_once_more_at_most():
    traced = []

    def model(x):
        traced.append(x.shape)
        return tf.reduce_sum(x, axis=1)

    compiled = Compiled(model)
    for length in (3, 4, 5, 6, 7):
        assert compiled(tf.ones((2, length, 3)))[0].numpy().tolist() == [[length] * 3] * 2
    assert len(traced) == 2


def test_weights_may_change_between_batches():
    model = make_model()
    compiled = Compiled(model)
    compiled(tf.constant(X))
    model.layers[-1].bias.assign([1.0, 2.0, 3.0])
    np.testing.assert_allclose(compiled(tf.constant(X))[0], reference(model), rtol=1e-4, atol=1e-5)


def test_a_model_that_is_built_by_its_first_batch():
    model = keras.Sequential([keras.layers.Dense(3)])
    batch = next(predict(model, (X, Y), features=True))
    np.testing.assert_allclose(batch.logits, X @ model.layers[0].kernel.numpy(), rtol=1e-4, atol=1e-6)


class Module(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(np.arange(12, dtype=np.float32).reshape(4, 3) / 10)

    def logits(self, x):
        return tf.matmul(x, self.w)


class PlainModule(Module):
    def __call__(self, x):
        return self.logits(x)


class CompiledModule(Module):
    @tf.function
    def __call__(self, x):
        return self.logits(x)


class TranslatedModule(Module):
    @tf.function
    def __call__(self, x):
        if tf.reduce_sum(x) > 1e9:
            x = -x
        return self.logits(x)


@pytest.mark.parametrize("make", [PlainModule, CompiledModule, TranslatedModule, lambda: Module().logits])
def test_modules_and_functions_with_variables(make):
    model = make()
    w = np.arange(12).reshape(4, 3) / 10
    np.testing.assert_allclose(logits(model, batch_size=4), X @ w, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [PlainModule, CompiledModule])
def test_features_of_a_module_are_what_is_multiplied_last(make):
    batch = next(predict(make(), (X, Y), features=True))
    np.testing.assert_array_equal(batch.features, X)
    assert not batch.bias


def test_features_are_the_inputs_of_the_last_layer():
    model = make_model()
    for batch in predict(model, (X, Y), batch_size=4, features=True):
        kernel, bias = model.layers[-1].get_weights()
        np.testing.assert_allclose(batch.features.numpy() @ kernel + bias, batch.logits, rtol=1e-4, atol=1e-6)
        assert batch.bias


def test_last_layer_is_found_by_what_it_gives_and_not_by_its_place():
    class Backwards(keras.Model):
        def __init__(self):
            super().__init__()
            self.head = keras.layers.Dense(3, use_bias=False)  # made first, used last
            self.body = keras.layers.Dense(8, activation="relu")

        def call(self, x):
            return {"logits": self.head(self.body(x))}

    batch = next(predict(Backwards(), (X, Y), features=True))
    assert batch.features.shape == (10, 8)
    assert not batch.bias


class SharedBias(Module):
    def __init__(self):
        super().__init__()
        self.b = tf.Variable(0.5)

    def __call__(self, x):
        return self.logits(x) + self.b


def ends_in(*layers):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), *layers])


@pytest.mark.parametrize(
    "make",
    [
        lambda: ends_in(keras.layers.Activation("tanh")),
        lambda: ends_in(keras.layers.Rescaling(2.0)),
        lambda: ends_in(keras.layers.Reshape((1, 3)), keras.layers.GlobalAveragePooling1D()),
        lambda: lambda x: x[:, :3] + tf.matmul(x, tf.ones((4, 3))),
        SharedBias,
    ],
    ids=["tanh", "scaled", "pooled", "no variable", "one bias for all classes"],
)
def test_a_model_that_does_not_end_in_a_linear_layer_has_no_features(make):
    with pytest.raises(PruneKitError, match="no linear layer of the model gives its logits"):
        list(predict(make(), (X, Y), features=True))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda x: tf.reshape(x, (-1,)), "must give logits of shape"),
        (lambda x: tf.reshape(x, (5, -1)), "5 rows of logits for 10"),
        (lambda x: tf.cast(x, tf.int32), "must give logits of shape .*; got int32"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(model, message):
    with pytest.raises(PruneKitError, match=message):
        list(predict(model, (X, Y)))


def test_what_fails_only_when_it_runs_is_told_too():
    model = keras.Sequential(
        [keras.Input((4,), dtype="int32"), keras.layers.Embedding(5, 3), keras.layers.Flatten()]
    )
    with pytest.raises(PruneKitError, match=r"cannot take the data, int64 of shape \(10, 4\).*indices"):
        list(predict(model, (np.full((10, 4), 9), Y)))


def test_soft_labels_with_another_number_of_classes_are_refused():
    with pytest.raises(PruneKitError, match="gives 3 classes, the labels have 5 columns"):
        list(predict(make_model(), (X, np.full((10, 5), 0.2, np.float32))))


def test_ids_are_numpy():
    batches = predict(make_model(), (X, Y, np.arange(10) + 5), batch_size=4)
    ids = np.concatenate([batch.ids for batch in batches])
    assert ids.tolist() == list(range(5, 15))


def test_devices_that_cannot_be_had_are_errors():
    assert choose_device("cpu") == "CPU:0"
    with pytest.raises(PruneKitError, match="`device` must be cpu, cuda"):
        choose_device("tpu")
    with pytest.raises(PruneKitError, match="cannot be had: TensorFlow sees"):
        choose_device("cuda:99")
    with pytest.raises(PruneKitError, match="cannot be had"):
        list(predict(make_model(), (X, Y), device="gpu:99"))


def test_the_device_is_that_of_the_computation_alone():
    for batch in predict(make_model(), (X, Y), device="cpu"):
        assert batch.logits.device.endswith("CPU:0")
        assert tf.constant(1.0).device == tf.constant(1.0).device


HEADS = {
    "Dense": lambda: [keras.layers.Dense(3, activation="softmax")],
    "Softmax": lambda: [keras.layers.Dense(3), keras.layers.Softmax()],
    "Activation": lambda: [keras.layers.Dense(3), keras.layers.Activation("softmax", dtype="float32")],
}


@pytest.mark.parametrize("head", HEADS)
def test_a_softmax_at_the_end_is_taken_off_and_told_once(head):
    model = keras.Sequential([keras.Input((4,)), *HEADS[head]()])
    kernel, bias = model.get_weights()
    with pytest.warns(UserWarning, match="ends in a softmax") as told:
        (batch,) = predict(model, (X, Y), features=True)
    assert len(told) == 1
    np.testing.assert_allclose(batch.logits, X @ kernel + bias, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(batch.features, X)
    np.testing.assert_allclose(model(X).numpy().sum(axis=1), 1, rtol=1e-5)  # the model itself keeps it


def test_a_softmax_in_a_modules_own_function_is_found():
    class Probabilities(Module):
        @tf.function
        def __call__(self, x):
            return tf.nn.softmax(self.logits(x))

    model = Probabilities()
    with pytest.warns(UserWarning, match="the model probabilities ends in a softmax"):
        np.testing.assert_allclose(logits(model), X @ model.w.numpy(), rtol=1e-4, atol=1e-5)


def test_an_attention_inside_the_model_is_no_softmax_at_its_end():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(5, activation="softmax"), keras.layers.Dense(3)]
    )
    (batch,) = predict(model, (X, Y))
    np.testing.assert_allclose(batch.logits, model(X), rtol=1e-5)


def test_probabilities_of_unknown_origin_are_warned_of():
    def model(x):
        powers = tf.exp(x)
        return powers / tf.reduce_sum(powers, axis=1, keepdims=True)

    with pytest.warns(UserWarning, match="look like probabilities"):
        list(predict(model, (X, Y)))
