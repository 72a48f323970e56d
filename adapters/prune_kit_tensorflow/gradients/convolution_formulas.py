"""The ways to a kernel's gradient, or its squared norm, and what each costs.

Costs are in multiply-adds of a large matrix product, fitted to times on a CPU (AVX-512, oneDNN, float32).
They depend on shapes alone: the same network always takes the same formulas.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from .convolution_correlation import Correlation
from .factors.base import squares

_AT_ONCE = 2**16  # temporary numbers of an example above which examples take turns: they leave the cache
_IN_FLIGHT = 2**24  # temporary numbers of all turns that run at the same time
_TURN = 1_300_000  # a turn of the loop over examples
_OP = 1_700_000  # starting a native op
_PAIR = 20  # one entry of a Gram matrix, multiplied and summed
_SQUARE = 30  # one number of a written-out gradient, squared and summed


@dataclass(frozen=True)
class Formula:
    """What gives (b, ...) from a correlation; arithmetic and temporary numbers are those of one example."""

    run: Callable[[Correlation], Any]
    arithmetic: float
    temporaries: float
    single: bool = False  # holds for a batch of one only

    @property
    def in_turns(self) -> bool:
        """Whether it runs on one example after the other."""
        return self.single or self.temporaries > _AT_ONCE

    @property
    def cost(self) -> float:
        """What decides between formulas."""
        return self.arithmetic + (_TURN if self.in_turns else 0)

    def apply(self, c: Correlation) -> Any:
        """The result for the whole batch."""
        if not self.in_turns:
            return self.run(c)
        return tf.map_fn(
            lambda i: self.run(c.example(i))[0],
            tf.range(tf.shape(c.x)[0]),
            fn_output_signature=c.x.dtype,
            parallel_iterations=int(min(10, max(1, _IN_FLIGHT // self.temporaries))),
        )


def written(c: Correlation) -> dict[str, Formula]:
    """Formulas of the gradient itself, shape (b, *window, inputs, groups * outputs)."""
    positions, weights = math.prod(c.positions), _weights(c)
    work = positions * weights
    found = {}
    if c.inputs == 1 and c.groups > 1:
        found["taps"] = Formula(taps, 40 * work, positions * c.outputs * c.groups + weights)
        # The op is fast as long as its sums stay in the first cache.
        rate = 8.0 if weights < 2**13 else 60.0
    else:
        found["columns"] = Formula(columns, 1.1 * work + _unfolding(c), _unfolded(c) + weights)
        rate = 1.0
    if _has_native(c):
        found["native"] = Formula(native, _OP + rate * work + 45 * weights, weights, single=True)
    return found


def squared(c: Correlation) -> dict[str, Formula]:
    """Formulas of the squared norm, shape (b,)."""
    found = {
        name: Formula(_norm_of(way.run), way.arithmetic + _SQUARE * _weights(c), way.temporaries, way.single)
        for name, way in written(c).items()
    }
    positions, inputs = math.prod(c.positions), math.prod(c.window) * c.inputs
    pairs = positions**2
    found["gram"] = Formula(
        gram,
        c.groups * pairs * (inputs + c.outputs + _PAIR) + _unfolding(c),
        3 * c.groups * pairs + _unfolded(c),
    )
    if c.groups == 1 and math.prod(c.window) > 1 and all(stride == 1 for stride in c.strides):
        pixels = math.prod(
            n + before + after for n, (before, after) in zip(c.x.shape[1:-1], c.pads, strict=True)
        )
        found["pixels"] = Formula(
            gram_of_pixels,
            pixels**2 * (c.inputs + _PAIR * c.window[0]) + pairs * (c.outputs + _PAIR * sum(c.window[1:])),
            2 * pixels**2 + 2 * pairs,
        )
    return found


def columns(c: Correlation) -> Any:
    """One matrix product over all windows."""
    product = tf.matmul(c.windows(), c.rows(), transpose_a=True)
    product = tf.reshape(product, [-1, c.groups, math.prod(c.window) * c.inputs, c.outputs])
    return tf.reshape(tf.transpose(product, [0, 2, 1, 3]), _shape(c))


def taps(c: Correlation) -> Any:
    """For groups of one channel: products of the fields, one place of the window after the other."""
    g = tf.reshape(c.g, [-1, *c.positions, c.groups, c.outputs])
    over = list(range(1, 1 + len(c.window)))
    sums = [tf.reduce_sum(tap[..., None] * g, axis=over) for tap in c.taps()]
    return tf.reshape(tf.stack(sums, axis=1), _shape(c))


def native(c: Correlation) -> Any:
    """TensorFlow's own gradient op, on a batch of one."""
    padding, x = c.padding, c.x
    if padding not in ("SAME", "VALID"):
        padding, x = "VALID", c.padded()
    options = {"strides": [1, *c.strides, 1], "padding": padding}
    if c.groups > 1:
        gradient = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=x, filter_sizes=[*c.window, c.groups, c.outputs], out_backprop=c.g, **options
        )
    else:
        op = tf.raw_ops.Conv2DBackpropFilter if len(c.window) == 2 else tf.raw_ops.Conv3DBackpropFilterV2
        gradient = op(input=x, filter_sizes=[*c.window, c.inputs, c.outputs], out_backprop=c.g, **options)
    return tf.reshape(gradient, _shape(c))


def gram(c: Correlation) -> Any:
    """|A^T G|^2 from the inner products of rows: the sum over A A^T * G G^T."""
    windows, rows = c.windows(), c.rows()
    products = tf.matmul(windows, windows, transpose_b=True) * tf.matmul(rows, rows, transpose_b=True)
    return tf.maximum(tf.reduce_sum(products, axis=[1, 2, 3]), 0)


def gram_of_pixels(c: Correlation) -> Any:
    """`gram`, where a pair of windows is summed from pairs of pixels instead of unfolded (stride 1)."""
    x, space = c.padded(), len(c.window)
    sizes = list(x.shape[1:-1])
    x = tf.reshape(x, [-1, math.prod(sizes), c.inputs])
    pairs = tf.reshape(tf.matmul(x, x, transpose_b=True), [-1, *sizes, *sizes])
    for axis, (window, step, positions) in enumerate(zip(c.window, c.dilations, c.positions, strict=True)):
        shifted = []
        for tap in range(window):
            picked = [slice(None)] * (1 + 2 * space)
            picked[1 + axis] = picked[1 + space + axis] = slice(tap * step, tap * step + positions)
            shifted.append(pairs[tuple(picked)])
        pairs = tf.add_n(shifted)
    total = math.prod(c.positions)
    g = tf.reshape(c.g, [-1, total, c.outputs])
    products = tf.reshape(pairs, [-1, total, total]) * tf.matmul(g, g, transpose_b=True)
    return tf.maximum(tf.reduce_sum(products, axis=[1, 2]), 0)


def _norm_of(run: Callable[[Correlation], Any]) -> Callable[[Correlation], Any]:
    return lambda c: squares(run(c))


def _has_native(c: Correlation) -> bool:
    """Whether TensorFlow has a gradient op for it that runs on every device."""
    if len(c.window) not in (2, 3) or any(step != 1 for step in c.dilations):
        return False
    if c.groups > 1:
        return c.inputs == 1 and len(c.window) == 2 and len(set(c.strides)) == 1
    return True


def _weights(c: Correlation) -> int:
    return math.prod(c.window) * c.inputs * c.outputs * c.groups


def _unfolded(c: Correlation) -> int:
    """Numbers in the windows."""
    return math.prod(c.positions) * math.prod(c.window) * c.inputs * c.groups


def _unfolding(c: Correlation) -> float:
    """The cost of copying them: by the number, and by the run of neighbouring channels."""
    return _unfolded(c) * (30 + 200 / c.inputs)


def _shape(c: Correlation) -> list[int]:
    return [-1, *c.window, c.inputs, c.groups * c.outputs]
