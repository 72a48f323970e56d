"""The public function: what goes in, what comes out, what is refused, and what is left behind."""

import re
import warnings
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L

from prune_kit.errors import PruneKitError
from prune_kit_tensorflow.gradients import GradientNorms, gradient_norms
from prune_kit_tensorflow.gradients.layout import find_layout

CLASSES = 4


def small(*more):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((6,)), L.Dense(7, activation="relu", name="first"), *more, L.Dense(CLASSES, name="last")]
    )


def batch(n=5):
    rng = np.random.default_rng(1)
    return tf.constant(rng.standard_normal((n, 6)), tf.float32), tf.constant(rng.integers(0, CLASSES, n))


def function(model, wrap=lambda logits: logits):
    def call(x, scale=1.0, mask=None):
        return wrap(model(x * scale, training=False))

    call.trainable_variables = model.trainable_variables
    return call


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: SimpleNamespace(logits=y),
        lambda y: {"loss": None, "logits": y},
        lambda y: (y, "hidden"),
    ],
)
def test_what_models_give(wrap, loop):
    x, y = batch()
    model = small()
    norms = gradient_norms(function(model, wrap), x, y)
    np.testing.assert_allclose(norms, loop(model, x, y), rtol=1e-5)


def test_what_functions_take(loop):
    x, y = batch()
    model = small()
    call = function(model)
    expected = loop(model, 2 * x, y)
    for inputs in ((x, 2.0), [x, tf.constant(2.0)], {"x": x, "scale": 2.0, "mask": None}, x.numpy() * 2):
        np.testing.assert_allclose(gradient_norms(call, inputs, y.numpy()), expected, rtol=1e-5)


class TwoInputs(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(CLASSES)

    def call(self, left, right, training=None):
        assert not training
        return self.dense(left + 2 * right)


def test_several_inputs_of_keras_models(loop):
    x, y = batch()
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    dense = L.Dense(CLASSES)
    functional = keras.Model({"a": a, "b": b}, dense(a + 2 * b))
    listed = keras.Model([a, b], dense(a + 2 * b))
    whole = keras.Sequential([dense])
    expected = loop(whole, 3 * x, y)
    np.testing.assert_allclose(gradient_norms(functional, {"a": x, "b": x}, y), expected, rtol=1e-5)
    np.testing.assert_allclose(gradient_norms(listed, (x, x), y), expected, rtol=1e-5)
    own = TwoInputs()
    own(x, x)
    own.dense.set_weights(dense.get_weights())
    np.testing.assert_allclose(gradient_norms(own, (x, x), y), expected, rtol=1e-5)
    np.testing.assert_allclose(gradient_norms(own, {"left": x, "right": x}, y), expected, rtol=1e-5)


def test_logits_of_the_same_pass():
    x, y = batch()
    model = small()
    norms, logits = GradientNorms(model).with_logits(x, y)
    assert norms.shape == (5,)
    assert norms.dtype == tf.float32
    np.testing.assert_allclose(logits, model(x), rtol=1e-5, atol=1e-6)


def test_a_ragged_last_batch_and_new_weights(loop):
    x, y = batch(7)
    model = small()
    engine = GradientNorms(model)
    whole = engine(x, y)
    apart = tf.concat([engine(x[:4], y[:4]), engine(x[4:], y[4:]), engine(x[:1], y[:1])], 0)
    np.testing.assert_allclose(apart, tf.concat([whole, whole[:1]], 0), rtol=1e-5)
    model.set_weights([2 * w for w in model.get_weights()])
    np.testing.assert_allclose(engine(x, y), loop(model, x, y), rtol=1e-5)


def test_other_losses(loop):
    x, y = batch()
    model = small()

    def squared(logits, labels):
        return tf.reduce_sum((logits - tf.one_hot(labels, CLASSES)) ** 2, 1)

    np.testing.assert_allclose(
        gradient_norms(model, x, y, loss=squared), loop(model, x, y, squared), rtol=1e-5
    )


def test_soft_labels(loop):
    x, y = batch()
    model = small()
    soft = tf.nn.softmax(tf.random.stateless_normal((5, CLASSES), [1, 2]))

    def reference(logits, labels):
        return tf.nn.softmax_cross_entropy_with_logits(labels, logits)

    np.testing.assert_allclose(gradient_norms(model, x, soft), loop(model, x, soft, reference), rtol=1e-5)
    hard = tf.one_hot(y, CLASSES)
    np.testing.assert_allclose(gradient_norms(model, x, hard), gradient_norms(model, x, y), rtol=1e-6)


def test_a_loss_over_time(loop):
    x = tf.constant(np.random.default_rng(0).integers(0, 9, (4, 5)))
    model = keras.Sequential([keras.Input((5,), dtype="int64"), L.Embedding(9, 6), L.Dense(9)])

    def shifted(logits, tokens):
        own = tf.nn.sparse_softmax_cross_entropy_with_logits(tokens[:, 1:], logits[:, :-1])
        return tf.reduce_sum(own, 1)

    np.testing.assert_allclose(
        gradient_norms(model, x, x, loss=shifted), loop(model, x, x, shifted), rtol=1e-5
    )


def test_per_layer(loop):
    x, y = batch()
    model = small()
    by_variable = gradient_norms(model, x, y, per_layer=True)
    assert list(by_variable) == [v.path for v in model.trainable_variables]
    expected = loop(model, x, y, by_variable=True)
    np.testing.assert_allclose(np.stack(list(by_variable.values()), 1), expected, rtol=1e-5)
    by_layer = gradient_norms(model, x, y, per_layer="module")
    assert [name.rpartition("/")[2] for name in by_layer] == ["first", "last"]
    np.testing.assert_allclose(
        list(by_layer.values())[1], np.hypot(expected[:, 2], expected[:, 3]), rtol=1e-5
    )


def test_names_of_plain_variables(loop):
    weights = [tf.Variable(tf.random.stateless_normal((6, CLASSES), [i, 1])) for i in range(2)]

    def call(x):
        return x @ weights[0] + tf.tanh(x) @ weights[1]

    x, y = batch()
    norms = gradient_norms(call, x, y, per_layer=True, variables=weights)
    assert list(norms) == ["Variable", "Variable_1"]
    expected = loop(call, x, y, variables=weights, by_variable=True)
    np.testing.assert_allclose(np.stack(list(norms.values()), 1), expected, rtol=1e-5)


@pytest.mark.parametrize("activation", [None, "softplus"])
def test_last_layer(loop, activation):
    x, y = batch()
    model = small()
    model.layers[-1].activation = keras.activations.get(activation)
    engine = GradientNorms(model, last_layer=True)
    expected = loop(model, x, y, variables=model.layers[-1].trainable_variables)
    for _ in range(2):
        np.testing.assert_allclose(engine(x, y), expected, rtol=1e-5)


@pytest.mark.parametrize("confidence", [1e-3, 10, 40, 80])
def test_exact_at_any_confidence(confidence):
    """`softmax - onehot` must not lose its digits, nor its square underflow."""
    model = small()
    x, _ = batch()
    y = tf.zeros(5, tf.int64)
    model.layers[-1].bias.assign([confidence, 0.0, 0.0, 0.0])
    kernel, bias = (w.astype(np.longdouble) for w in model.layers[-1].get_weights())
    features = model.layers[0](x).numpy().astype(np.longdouble)
    p = np.exp(features @ kernel + bias)
    p /= p.sum(1, keepdims=True)
    error = np.concatenate([-p[:, 1:].sum(1, keepdims=True), p[:, 1:]], 1)
    exact = np.linalg.norm(error.astype(float), axis=1) * np.sqrt(1 + (features.astype(float) ** 2).sum(1))
    norms = gradient_norms(model, x, y, last_layer=True)
    np.testing.assert_allclose(norms, exact, rtol=3e-5)


class Centred(keras.Model):
    """Examples that are not independent."""

    def __init__(self):
        super().__init__()
        self.norm, self.dense = L.BatchNormalization(), L.Dense(CLASSES)

    def call(self, x):
        return self.dense(self.norm(x, training=True))


def test_batchnorm_that_uses_the_batch():
    x, y = batch()
    model = Centred()
    model(x)
    before = [w.copy() for w in model.get_weights()]
    with pytest.raises(PruneKitError, match="must not depend on the other examples"):
        gradient_norms(model, x, y)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_loss_that_compares_examples():
    x, y = batch()
    with pytest.raises(PruneKitError, match="the loss of an example must not depend"):
        gradient_norms(small(), x, y, loss=lambda logits, _: logits[:, 0] - tf.reduce_mean(logits))


class Looping(keras.Model):
    """A loop that holds a variable."""

    def __init__(self):
        super().__init__()
        self.cell, self.out = L.Dense(6, activation="tanh"), L.Dense(CLASSES)

    def call(self, x):
        self.cell(x)
        x = tf.while_loop(lambda i, _: i < 3, lambda i, v: (i + 1, self.cell(v)), (0, x))[1]
        return self.out(x)


class Custom(keras.Model):
    """A gradient of its own."""

    def __init__(self):
        super().__init__()
        self.dense = L.Dense(CLASSES)

    def call(self, x):
        @tf.custom_gradient
        def halved(y):
            return y, lambda g: g / 2

        self.dense(x)
        return x @ halved(tf.convert_to_tensor(self.dense.kernel)) + self.dense.bias


class Odd(keras.Model):
    """An operation without a rule."""

    def __init__(self):
        super().__init__()
        self.dense = L.Dense(CLASSES)

    def call(self, x):
        return tf.pow(tf.abs(self.dense(x)) + 1.0, tf.nn.softplus(self.dense.bias))


class Numpy(keras.Model):
    """No graph can be made of this."""

    def __init__(self):
        super().__init__()
        self.dense = L.Dense(CLASSES)

    def call(self, x):
        if isinstance(x, tf.Tensor) and not tf.executing_eagerly():
            raise ValueError("only step by step")
        return self.dense(x)


@pytest.mark.parametrize(
    ("model", "reason"),
    [(Looping, "While"), (Custom, "IdentityN"), (Odd, "`Pow` has no rule"), (Numpy, "only step by step")],
)
def test_slow_ways_warn_once_and_are_right(model, reason, loop):
    x, y = batch()
    model = model()
    model(x)
    engine = GradientNorms(model)
    with pytest.warns(UserWarning, match=re.escape(reason)) as caught:
        norms = engine(x, y)
    assert len(caught) == 1
    np.testing.assert_allclose(norms, loop(model, x, y), rtol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(engine(x[:2], y[:2]), norms[:2], rtol=1e-5)


def test_a_last_layer_that_cannot_be_found():
    x, y = batch()
    model = Numpy()
    model(x)
    with (
        pytest.raises(PruneKitError, match="last layer cannot be found"),
        pytest.warns(UserWarning, match="only step by step"),
    ):
        gradient_norms(model, x, y, last_layer=True)


def test_long_sequences_are_not_unrolled(loop):
    x = tf.random.stateless_normal((2, 101, 2), [1, 2])
    model = keras.Sequential([keras.Input((101, 2)), L.SimpleRNN(2), L.Dense(CLASSES)])
    with pytest.warns(UserWarning, match="While"):
        norms = gradient_norms(model, x, tf.constant([0, 1]))
    np.testing.assert_allclose(norms, loop(model, x, tf.constant([0, 1])), rtol=1e-4)


def test_wrong_norms_are_found_out(loop, monkeypatch):
    from prune_kit_tensorflow.gradients.rules import RULES, contraction

    x, y = batch()
    model = small()
    right = contraction.matmul
    monkeypatch.setitem(RULES, "MatMul", lambda use, g, rows: right(use, 1.01 * g, rows))
    with pytest.warns(UserWarning, match="differ from those of a backward pass"):
        norms = gradient_norms(model, x, y)
    np.testing.assert_allclose(norms, loop(model, x, y), rtol=1e-5)


class Routed(keras.Model):
    """A branch that only large inputs take."""

    def __init__(self):
        super().__init__()
        self.usual, self.rare = L.Dense(CLASSES), L.Dense(CLASSES)

    def call(self, x):
        return self.usual(x) + self.rare(x) * tf.cast(x[:, :1] > 50, x.dtype)


def test_paths_that_the_first_batch_did_not_take(loop):
    x, y = batch()
    model = Routed()
    model(x)
    engine = GradientNorms(model)
    np.testing.assert_allclose(engine(x, y), loop(model, x, y), rtol=1e-5)
    large = tf.concat([tf.fill([5, 1], 60.0), x[:, 1:]], 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(engine(large, y), loop(model, large, y), rtol=1e-5)
    engine = GradientNorms(model)
    engine(x, y)
    only_last = tf.concat([x[:4], large[4:]], 0)
    with pytest.warns(UserWarning, match="change from batch to batch"):
        norms = engine(only_last, y)
    np.testing.assert_allclose(norms, loop(model, only_last, y), rtol=1e-5)


class Counting(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(CLASSES)
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.calls.assign_add(1.0)
        return self.dense(x)


def test_state_is_left_as_it_was():
    x, y = batch()
    model = Counting()
    model(x)
    engine = GradientNorms(model)
    engine(x, y)
    engine(x[:2], y[:2])
    assert float(model.calls) == 1
    recurrent = keras.Sequential([keras.Input((3, 2)), L.LSTM(2, go_backwards=True), L.Dense(CLASSES)])
    before, was_eager = recurrent.get_weights(), tf.config.functions_run_eagerly()
    gradient_norms(recurrent, tf.ones((2, 3, 2)), tf.constant([0, 1]))
    layer = recurrent.layers[0]
    assert not layer.unroll
    assert layer.go_backwards
    assert "inner_loop" not in vars(layer)
    assert tf.config.functions_run_eagerly() == was_eager
    for old, new in zip(before, recurrent.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_dropout_is_off(loop):
    x, y = batch()
    model = small(L.Dropout(0.5), L.GaussianNoise(1.0))
    np.testing.assert_allclose(gradient_norms(model, x, y), loop(model, x, y), rtol=1e-5)


def test_half_precision(loop):
    x, y = batch()
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small(L.LayerNormalization())
    finally:
        keras.config.set_dtype_policy(before)
    norms = gradient_norms(model, x, y)
    assert norms.dtype == tf.float32
    np.testing.assert_allclose(norms, loop(model, x, y), rtol=0.03)


class Partly(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense, self.idle = L.Dense(CLASSES), L.Dense(3, name="idle")

    def call(self, x):
        self.idle(x)
        return self.dense(x)


def test_unused_variables(loop):
    x, y = batch()
    model = Partly()
    model(x)
    with pytest.raises(PruneKitError, match=r"must take part in the loss; these do not: .*idle/kernel"):
        gradient_norms(model, x, y)
    columns = gradient_norms(model, x, y, allow_unused=True, per_layer="module")
    idle = next(name for name in columns if name.endswith("idle"))
    assert not np.asarray(columns[idle]).any()
    np.testing.assert_allclose(gradient_norms(model, x, y, allow_unused=True), loop(model, x, y), rtol=1e-5)


def nothing_trained():
    model = small()
    model.trainable = False
    return model


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda x, y: gradient_norms(3, x, y), "must be a Keras model"),
        (lambda x, y: gradient_norms(lambda v: v, x, y), "must say which variables it trains"),
        (lambda x, y: gradient_norms(keras.Sequential([L.Dense(3)]), x, y), "must be initialised"),
        (lambda x, y: gradient_norms(nothing_trained(), x, y), "at least one parameter"),
        (lambda x, y: gradient_norms(small(), x, y, per_layer="layer"), "`per_layer` must be"),
        (lambda x, y: gradient_norms(small(), x, y[:0]), "at least one; got"),
        (lambda x, y: gradient_norms(small(), x, y[:3]), "one row per label, 3"),
        (lambda x, y: gradient_norms(small(), x, y + CLASSES), "from 0 to 3; got values from 4"),
        (lambda x, y: gradient_norms(small(), x, tf.cast(y, tf.float32)), "class indices of shape"),
        (lambda x, y: gradient_norms(small(), x / 0.0, y), "logits must be finite"),
        (
            lambda x, y: gradient_norms(small(), x, y, loss=lambda a, _: tf.reduce_mean(a)),
            "one number per ex",
        ),
        (lambda x, y: gradient_norms(small(L.Reshape((7, 1))), x, y), "needs logits of shape"),
        (lambda x, y: gradient_norms(function(small(), lambda z: z[:1]), x, y), "one row of logits per"),
        (lambda x, y: gradient_norms(function(small(), lambda z: "z"), x, y), "must give logits"),
    ],
)
def test_bad_input(act, message):
    with pytest.raises(PruneKitError, match=re.escape(message)):
        act(*batch())


def test_bad_rows_of_a_later_batch():
    x, y = batch()
    engine = GradientNorms(keras.Sequential([keras.Input((6,)), L.Dense(CLASSES)]))
    engine(x, y)
    bad = tf.concat([x[:2], x[2:3] / 0.0, x[3:]], 0)
    with pytest.raises(PruneKitError, match=r"positions \[2\]"):
        engine(bad, y)
    with pytest.raises(PruneKitError, match="got values from"):
        engine(x, y + CLASSES)


@pytest.mark.parametrize(
    ("shape", "place", "expected"),
    [
        ((3, 4), lambda t, i: t[i], (0, 1, 1)),
        ((6, 3), lambda t, i: t[2 * i : 2 * i + 2], (0, 1, 2)),
        ((6, 4), lambda t, i: t[i::3], (0, 2, 1)),
        ((2, 3), lambda t, i: t[:, i], (1, 1, 1)),
    ],
)
def test_layouts(shape, place, expected):
    touched = []
    for i in range(3):
        one = np.zeros(shape, bool)
        place(one, i)[:] = True
        touched.append(one)
    layout = find_layout(touched, 3)
    assert (layout.axis, layout.before, layout.after) == expected
    assert find_layout([np.ones(shape, bool)] * 3, 3) is None


@pytest.mark.parametrize("ending", ["layer", "activation", "function"])
def test_probabilities_of_a_softmax_are_not_taken_for_logits(ending):
    layers = [keras.Input((6,)), keras.layers.Dense(5, activation="tanh"), keras.layers.Dense(4)]
    model = keras.Sequential(layers)
    twin: object = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(5, activation="tanh"),
            keras.layers.Dense(4, activation="softmax" if ending == "activation" else None),
            *([keras.layers.Softmax()] if ending == "layer" else []),
        ]
    )
    twin.set_weights(model.get_weights())
    options = {}
    if ending == "function":
        options = {"variables": twin.trainable_variables}
        body = twin

        def twin(x):
            return tf.nn.softmax(body(x, training=False))

    x = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)
    y = np.array([0, 1, 2, 3, 0])
    expected = gradient_norms(model, x, y)
    with pytest.warns(UserWarning, match="ends in a softmax") as told:
        norms = gradient_norms(twin, x, y, **options)
    assert len(told) == 1
    np.testing.assert_allclose(norms, expected, rtol=1e-4)
