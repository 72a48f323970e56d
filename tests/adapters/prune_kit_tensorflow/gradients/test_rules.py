"""Single operations, with the variable in each place and the examples along each axis."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

from prune_kit_tensorflow.gradients import GradientNorms
from prune_kit_tensorflow.gradients.factors import base

T, D, C = 5, 6, 4
CASES = {}


def case(*shapes):
    def add(function):
        CASES[function.__name__] = (shapes, function)
        return function

    return add


@case((C, D))
def variable_on_the_left(x, w):
    return tf.transpose(tf.matmul(w, x[:, 0], transpose_b=True))


@case((D, C))
def transposed_a(x, w):
    return tf.matmul(tf.transpose(x[:, 0]), w, transpose_a=True)


@case((C, D))
def time_major(x, w):
    y = tf.reshape(tf.transpose(x, [1, 0, 2]), [-1, D])
    return tf.reduce_sum(tf.tanh(tf.reshape(tf.matmul(y, w, transpose_b=True), [T, -1, C])), 0)


@case((T, D, C))
def one_matrix_per_step(x, w):
    return tf.reduce_sum(tf.tanh(tf.matmul(x[:, :, None], w))[:, :, 0], 1)


@case((3, D, C))
def broadcast_matrices(x, w):
    return tf.reduce_sum(tf.tanh(tf.matmul(x[:, None], w)), [1, 2])


@case((1, C, T))
def mixed_over_time(x, w):
    return tf.reduce_sum(tf.tanh(tf.matmul(w, x)), 2)


@case((D, 2, C))
def einsum_with_ellipsis(x, w):
    return tf.reduce_sum(tf.tanh(tf.einsum("...d,dko->...ko", x, w)), [1, 2])


@case((2, C, D))
def einsum_in_another_order(x, w):
    return tf.transpose(tf.reduce_sum(tf.tanh(tf.einsum("koi,bti->obk", w, x)), 2))


@case((D, C), (T, C))
def einsum_of_a_shared_axis(x, w, v):
    return tf.einsum("bto,to->bo", tf.tanh(tf.matmul(x, w)), v)


@case((C,), (C,), (1, 1), (C,))
def entry_by_entry(x, a, b, c, d):
    y = x[:, 0, :C]
    return a / (2.0 + y**2) + y / b - (c - y) * d + tf.math.squared_difference(tf.tanh(y), a)


@case((T, D), (D,))
def masked(x, token, other):
    y = tf.where(x[..., :1] > 0, token, x * other)
    return tf.reduce_sum(tf.where(y > 1, y, other), 1)[:, :C]


@case((D,), (1, D))
def repeated(x, a, b):
    rows = tf.shape(x)[0]
    y = tf.concat([tf.broadcast_to(a, [rows, 2, D]), tf.tile(b, [rows, 1])[:, None], x], 1)
    return tf.reduce_sum(tf.tanh(y) * y, 1)[:, :C]


@case((C,), (C,))
def bias_over_channels(x, a, b):
    y = tf.nn.bias_add(x[:, :C, :], a, data_format="NCHW")
    return tf.reduce_sum(tf.tanh(y), 2) + tf.nn.bias_add(x[:, 0, :C], b)


@case((7, C))
def table(x, w):
    picked = tf.cast(tf.clip_by_value(3 + 2 * x[..., 0], 0, 6), tf.int32)
    return tf.reduce_sum(tf.tanh(tf.nn.embedding_lookup(w, picked)), 1) + tf.gather(w + 0.0, picked[:, 0])


@case((7, C), (3, 2 * C))
def picked_rows_for_all(x, w, v):
    own = tf.nn.embedding_lookup(w, tf.constant([1, 4, 1])) + tf.split(v, 2, 1)[1]
    return tf.reduce_sum(tf.tanh(x[:, :3, :C] * own + tf.unstack(v, axis=0)[0][None, None, :C]), 1)


@case((3, 3, 2, C), (2, 2, D // 2, 1), (2, 2, 3, D // 2))
def convolutions_with_explicit_padding(x, w, v, u):
    images = tf.reshape(x, [-1, 5, 3, 2])
    y = tf.nn.conv2d(images, w, 2, [[0, 0], [1, 2], [0, 1], [0, 0]])
    y = tf.nn.depthwise_conv2d(tf.tanh(y)[..., :3], v, [1, 1, 1, 1], "SAME")
    y = tf.nn.conv2d_transpose(tf.tanh(y), u, [tf.shape(x)[0], 5, 2, 3], 2, "SAME")
    return tf.reduce_sum(tf.tanh(y), [1, 2]) @ SPREAD[:3]


@case((D, 2), (C, 2), (D, D))
def computed_weights(x, a, b, c):
    low_rank = tf.matmul(a, b, transpose_b=True) * 0.5
    y = tf.matmul(x[:, 0], tf.reverse(c, [0]) - tf.reduce_mean(c, 0)) @ tf.stack(
        tf.unstack(low_rank, axis=1), 1
    )
    scale = tf.sqrt(tf.reduce_sum(tf.square(c))) + tf.exp(c[0, 0])
    return y / scale


SPREAD = tf.constant(np.random.default_rng(5).standard_normal((C, C)))


def made(name):
    shapes, function = CASES[name]
    rng = np.random.default_rng(3)
    variables = [tf.Variable(rng.standard_normal(s) + 0.1, name=f"v{i}") for i, s in enumerate(shapes)]
    x = tf.constant(rng.standard_normal((4, T, D)))
    return lambda x: function(x, *variables), variables, x, tf.constant([0, 3, 1, 1])


@pytest.mark.parametrize("name", list(CASES))
def test_operations(name, loop):
    model, variables, x, y = made(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        norms = GradientNorms(model, variables=variables, per_layer=True, verify=False)(x, y)
    expected = loop(model, x, y, variables=variables, by_variable=True)
    np.testing.assert_allclose(np.stack(list(norms.values()), 1), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["computed_weights", "time_major", "table", "entry_by_entry"])
def test_blocks_of_examples(name, loop, monkeypatch):
    monkeypatch.setattr(base, "_LIMIT", 1)
    model, variables, x, y = made(name)
    norms = GradientNorms(model, variables=variables, verify=False)(x, y)
    np.testing.assert_allclose(norms, loop(model, x, y, variables=variables), rtol=1e-9)
