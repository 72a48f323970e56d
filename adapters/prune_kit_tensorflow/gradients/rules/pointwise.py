"""Operations that work entry by entry: biases, scales of norm layers, gates, masks."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..factors import Factor, Written, wide
from ..layout import Rows, Unsupported, static_shape
from ..source import Use


def summed(value: Any, rows: Rows, shape: tuple[int, ...]) -> Factor:
    """Add up what a tensor of `shape`, broadcast to that of `value`, receives from each example."""
    padded = (1,) * (value.shape.rank - len(shape)) + shape
    if padded[rows.axis] != 1:
        raise Unsupported("a parameter has an entry for each example of the batch")
    first = rows.first(value)
    full = first.shape.as_list()
    axes = [a + 1 for a, n in enumerate(padded) if n == 1 and full[a + 1] != 1]
    if any(n not in (1, full[a + 1]) for a, n in enumerate(padded)):
        raise Unsupported(f"a parameter of shape {shape} is repeated to {tuple(value.shape)}")
    first = tf.reduce_sum(first, axis=axes) if axes else first
    return Written(tf.reshape(first, (rows.batch, *shape)))


def add(use: Use, g: Any, rows: Rows) -> Factor:
    """One of several terms."""
    return summed(wide(g), rows, use.source.shape)


def subtract(use: Use, g: Any, rows: Rows) -> Factor:
    """Minuend or subtrahend."""
    return summed(wide(g if use.argument == 0 else -g), rows, use.source.shape)


def bias_add(use: Use, g: Any, rows: Rows) -> Factor:
    """A bias of shape (channels,), along the last axis or the second."""
    if use.argument != 1:
        return summed(wide(g), rows, use.source.shape)
    channels = use.source.shape[0]
    first = use.op.get_attr("data_format") == b"NCHW"
    shape = (channels, *[1] * (g.shape.rank - 2)) if first else (channels,)
    factor = summed(wide(g), rows, shape)
    return Written(tf.reshape(factor.written_out(), (rows.batch, channels)))


def multiply(use: Use, g: Any, rows: Rows) -> Factor:
    """A factor."""
    return summed(wide(g) * wide(use.other), rows, use.source.shape)


def denominator(use: Use, g: Any, rows: Rows) -> Factor:
    """Numerator or denominator of a quotient."""
    numerator, below = (wide(t) for t in use.op.inputs)
    value = wide(g) / below
    return summed(value if use.argument == 0 else -value * numerator / below, rows, use.source.shape)


def squared_difference(use: Use, g: Any, rows: Rows) -> Factor:
    """`(x - y)^2`."""
    own, other = wide(use.op.inputs[use.argument]), wide(use.other)
    return summed(2 * wide(g) * (own - other), rows, use.source.shape)


def select(use: Use, g: Any, rows: Rows) -> Factor:
    """One of the two values between which a condition chooses."""
    chosen = use.op.inputs[0] if use.argument == 1 else tf.logical_not(use.op.inputs[0])
    return summed(tf.where(chosen, wide(g), tf.zeros_like(wide(g))), rows, use.source.shape)


def broadcast(use: Use, g: Any, rows: Rows) -> Factor:
    """A tensor that is repeated along axes of length 1."""
    static_shape(g)
    return summed(wide(g), rows, use.source.shape)
