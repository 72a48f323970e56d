"""Every kind of model against the definition, in float64 and float32, without a slow way."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L

from prune_kit_tensorflow.gradients import GradientNorms

CLASSES = 4


def vectors(features=6):
    return lambda b: np.random.default_rng(b).standard_normal((b, features))


def images(*shape):
    shape = shape or (7, 6, 4)
    return lambda b: np.random.default_rng(b).standard_normal((b, *shape))


def tokens(length=4, vocabulary=7, *, pad=0):
    def make(b):
        drawn = np.random.default_rng(b).integers(1, vocabulary, (b, length))
        for i in range(b):
            drawn[i, length - min(pad, i % (pad + 1)) :] = 0
        return drawn

    return make


ZOO = {}


def zoo(make_inputs):
    def add(make):
        ZOO[make.__name__] = (make, make_inputs)
        return make

    return add


def sequential(shape, *layers, dtype=None):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers])


def pooled(shape, *layers):
    return sequential(shape, *layers, L.Activation("tanh"), L.Flatten(), L.Dense(CLASSES))


@zoo(vectors())
def mlp():
    return sequential((6,), L.Dense(9, activation="relu"), L.Dense(8, use_bias=False), L.Dense(CLASSES))


@zoo(images(5, 6))
def dense_over_time():
    return sequential((5, 6), L.Dense(8, activation="gelu"), L.Dense(3), L.Flatten(), L.Dense(CLASSES))


@zoo(images(3, 6))
def square_time():  # as many steps as examples in one of the batches
    return sequential((3, 6), L.Dense(8, activation="tanh"), L.GlobalAveragePooling1D(), L.Dense(CLASSES))


@zoo(images())
def conv_same_strided():
    return pooled(
        (7, 6, 4), L.Conv2D(5, 3, strides=2, padding="same"), L.BatchNormalization(), L.Conv2D(3, 2)
    )


@zoo(images())
def conv_groups_dilated():
    return pooled((7, 6, 4), L.Conv2D(6, 3, groups=2), L.Conv2D(3, 2, dilation_rate=(2, 1)))


@zoo(images(9, 4))
def conv1d():
    return pooled(
        (9, 4),
        L.Conv1D(6, 3, padding="causal", dilation_rate=2),
        L.Conv1D(4, 3, groups=2, strides=2),
        L.SeparableConv1D(3, 2),
    )


@zoo(images(4, 5, 4, 2))
def conv3d():
    return pooled(
        (4, 5, 4, 2),
        L.Conv3D(3, 2, padding="same", strides=2),
        L.Conv3DTranspose(2, 2),
        L.Conv3D(2, 2, dilation_rate=2),
    )


@zoo(images())
def depthwise_separable():
    return pooled(
        (7, 6, 4),
        L.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
        L.SeparableConv2D(5, 3),
        L.DepthwiseConv2D(2, dilation_rate=2),
    )


@zoo(images())
def transposed_convolutions():
    return pooled((7, 6, 4), L.Conv2DTranspose(3, 3, strides=2, padding="same"), L.Conv2DTranspose(2, 2))


@zoo(images(8, 4))
def transposed_1d():
    return pooled((8, 4), L.Conv1DTranspose(3, 3, strides=2), L.Conv1D(2, 2))


@zoo(images())
def normalisations():
    return pooled(
        (7, 6, 4),
        L.Conv2D(4, 3),
        L.BatchNormalization(),
        L.LayerNormalization(),
        L.GroupNormalization(2),
        L.PReLU(shared_axes=[1, 2]),
        L.BatchNormalization(center=False),
        L.BatchNormalization(scale=False),
        L.UnitNormalization(),
    )


@zoo(tokens(pad=3))
def lstm_masked():
    return sequential(
        (4,),
        L.Embedding(7, 6, mask_zero=True),
        L.LSTM(4, return_sequences=True),
        L.LSTM(3),
        L.Dense(CLASSES),
        dtype="int32",
    )


@zoo(tokens(length=3, pad=2))
def bidirectional():
    return sequential(
        (3,),
        L.Embedding(7, 6, mask_zero=True),
        L.Bidirectional(L.GRU(3, return_sequences=True)),
        L.Bidirectional(L.LSTM(2)),
        L.Dense(CLASSES),
        dtype="int32",
    )


@zoo(images(3, 5))
def gru_variants():
    return sequential(
        (3, 5),
        L.GRU(3, return_sequences=True, reset_after=False),
        L.GRU(3, return_sequences=True, go_backwards=True),
        L.SimpleRNN(3),
        L.Dense(CLASSES),
    )


@zoo(images(2, 4, 4, 2))
def time_distributed_convlstm():
    return sequential(
        (2, 4, 4, 2),
        L.TimeDistributed(L.Conv2D(3, 2)),
        L.ConvLSTM2D(2, 2),
        L.Flatten(),
        L.Dense(CLASSES),
    )


@zoo(images(5, 6))
def attention():
    x = keras.Input((5, 6))
    y = L.LayerNormalization()(x)
    y = x + L.MultiHeadAttention(2, 3)(y, y, use_causal_mask=True)
    y = y + L.Dense(6)(L.Dense(8, activation="gelu")(L.LayerNormalization()(y)))
    y = L.EinsumDense("abc,cd->abd", (5, 7), bias_axes="d")(y)
    y = L.EinsumDense("abc,bcd->abd", (5, 6))(y)
    return keras.Model(x, L.Dense(CLASSES)(L.GlobalAveragePooling1D()(y)))


@zoo(tokens(pad=2))
def transformer_of_tokens():
    x = keras.Input((4,), dtype="int32")
    y = L.Embedding(7, 6, mask_zero=True)(x) + L.Embedding(4, 6)(keras.ops.arange(4))
    y = L.GroupQueryAttention(2, 4, 2)(y, y)
    return keras.Model(x, L.Dense(CLASSES)(L.GlobalAveragePooling1D()(y)))


@zoo(vectors())
def shared_layers_and_branches():
    x = keras.Input((6,))
    shared, first = L.Dense(6, activation="tanh"), L.Dense(6)
    y = shared(shared(first(x)))
    z = L.Concatenate()([y, shared(x)])
    return keras.Model(
        x, L.Dense(CLASSES)(L.Add()([L.Dense(5)(z), L.Multiply()([L.Dense(5)(y), L.Dense(5)(x)])]))
    )


@zoo(images(6, 6, 3))
def shared_convolution():
    x = keras.Input((6, 6, 3))
    shared = L.Conv2D(3, 3, padding="same", activation="tanh")
    return keras.Model(x, L.Dense(CLASSES)(L.Flatten()(shared(L.BatchNormalization()(shared(x))))))


class Tied(keras.Model):
    """An embedding that is also the output projection."""

    def __init__(self, turned):
        super().__init__()
        self.embedding, self.hidden, self.turned = L.Embedding(CLASSES, 6), L.Dense(6), turned

    def call(self, x):
        y = keras.ops.tanh(self.hidden(self.embedding(x)))
        table = self.embedding.embeddings
        if self.turned:
            return keras.ops.mean(keras.ops.matmul(y, keras.ops.transpose(table)), 1)
        return tf.reduce_mean(tf.einsum("bld,vd->blv", y, tf.convert_to_tensor(table)), 1)


@zoo(tokens(vocabulary=CLASSES))
def tied_transposed():
    return Tied(True)


@zoo(tokens(vocabulary=CLASSES))
def tied_einsum():
    return Tied(False)


@zoo(tokens(length=90, vocabulary=CLASSES))
def tied_long():
    return Tied(True)


class Autoencoder(keras.Model):
    """A kernel and slices of it, overlapping; entries used as they are, scaled, and computed with."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(6, 6), name="kernel")
        self.gain = self.add_weight(shape=(6,), name="gain", initializer="ones")
        self.token = self.add_weight(shape=(1, 1, 6), name="token")
        self.head = L.Dense(CLASSES)

    def call(self, x):
        k = tf.convert_to_tensor(self.kernel)
        gain = tf.nn.softplus(self.gain) / 2.0
        y = tf.tanh(tf.matmul(x, k * gain)) @ tf.transpose(k)
        y = tf.concat([y[:, None], tf.tile(tf.convert_to_tensor(self.token), [tf.shape(x)[0], 1, 1])], 1)
        y = tf.reduce_mean(y, 1) / (1 + tf.square(self.gain)) - x[:, :2] @ k[:2]
        k = k / tf.maximum(tf.sqrt(tf.reduce_sum(k**2, 0, keepdims=True)), 1e-3)
        return self.head(y @ tf.concat([k[:, 3:], k[:, :1]], 1))


@zoo(vectors())
def derived_weights():
    return Autoencoder()


@zoo(vectors())
def frozen_layers():
    frozen = L.Dense(8, activation="tanh", trainable=False)
    return sequential((6,), L.Dense(7), frozen, L.BatchNormalization(trainable=False), L.Dense(CLASSES))


class Module(tf.Module):
    """Functions within functions, and names of its own."""

    def __init__(self, dtype):
        super().__init__()
        rng = np.random.default_rng(0)
        self.inner = tf.Variable(rng.standard_normal((6, 7)), dtype=dtype, name="inner")
        self.outer = tf.Variable(rng.standard_normal((7, CLASSES)), dtype=dtype, name="outer")

    @tf.function
    def hidden(self, x):
        return tf.tanh(x @ self.inner)

    @tf.function
    def __call__(self, x):
        return self.hidden(x) @ self.outer


@zoo(vectors())
def module_with_functions():
    return Module(keras.config.floatx())


def build(name, dtype):
    make, make_inputs = ZOO[name]
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    keras.utils.set_random_seed(1)
    try:
        model = make()
        if isinstance(model, keras.Model):
            model(make_inputs(4))
            rng = np.random.default_rng(2)
            for v in model.variables:
                if "seed" not in v.path:
                    v.assign(v.numpy() + 0.3 * np.abs(rng.standard_normal(v.shape)))
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])

    x = make_inputs(4)
    x = tf.constant(x, dtype if x.dtype.kind == "f" else "int32")
    return model, x, tf.constant([0, 3, 1, 1])


SIZES = {"mlp": (4, 1), "square_time": (4, 3, 1), "attention": (4, 1), "shared_convolution": (4, 2)}
"""Batches of other sizes than the first."""


@pytest.mark.parametrize("name", list(ZOO))
def test_float64(name, loop):
    model, x, y = build(name, "float64")
    expected = loop(model, x, y, by_variable=True)
    engine = GradientNorms(model, per_layer=True, verify=False)
    for b in SIZES.get(name, (4,)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            own = np.stack(list(engine(x[:b], y[:b]).values()), 1)
        assert own.dtype == np.float64
        right = expected[:b]
        np.testing.assert_allclose(own, right, rtol=1e-9, atol=1e-9 * right.max())
        np.testing.assert_allclose(np.sqrt((own**2).sum(1)), np.sqrt((right**2).sum(1)), rtol=1e-9)


@pytest.mark.parametrize("name", ["mlp", "normalisations", "attention", "tied_transposed", "derived_weights"])
def test_float32(name, loop):
    model, x, y = build(name, "float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        norms = GradientNorms(model, verify=False)(x, y)
    assert norms.dtype == tf.float32
    np.testing.assert_allclose(norms, loop(model, x, y), rtol=1e-4)
