"""The definition of GraNd, written out: one backward pass per example."""

from collections.abc import Mapping

import keras
import numpy as np
import pytest
import tensorflow as tf


def _call(model, inputs):
    if isinstance(model, keras.Layer):
        return model(inputs, training=False)
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def _cross_entropy(logits, labels):
    logits = tf.cast(logits, tf.float64)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def _loop(model, inputs, labels, loss=_cross_entropy, *, variables=None, by_variable=False):
    """Norms by a GradientTape over a batch of one, for each example; float64 sums."""
    variables = model.trainable_variables if variables is None else variables
    rows = []
    for i in range(len(labels)):
        one = tf.nest.map_structure(lambda t, i=i: t[i : i + 1] if len(t) == len(labels) else t, inputs)
        with tf.GradientTape() as tape:
            value = loss(_call(model, one), labels[i : i + 1])
        gradients = tape.gradient(
            value, [getattr(v, "value", v) if isinstance(v, keras.Variable) else v for v in variables]
        )
        rows.append(
            [
                0.0
                if g is None
                else float(np.square(tf.convert_to_tensor(g).numpy().astype(np.float64)).sum())
                for g in gradients
            ]
        )
    squared = np.array(rows)
    return np.sqrt(squared) if by_variable else np.sqrt(squared.sum(1))


@pytest.fixture(scope="session")
def loop():
    return _loop
