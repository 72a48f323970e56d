"""From per-example gradients of what was computed from variables to those of the variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .factors import wide
from .layout import Unsupported, static_shape
from .rearrange import constant, has_own_gradient, is_rearranging, rearranged
from .walk import Walk

Shape = tuple[int, ...]

_UNARY = frozenset({
    "Abs", "Cos", "Elu", "Erf", "Exp", "Expm1", "Log", "Log1p", "Neg", "Reciprocal", "Relu", "Rsqrt", "Selu",
    "Sigmoid", "Sin", "Softplus", "Softsign", "Sqrt", "Square", "Tan", "Tanh",
})  # fmt: skip
"""Entry by entry: the Jacobian is diagonal."""


def pull_back(
    found: Walk, cotangents: Mapping[str, Any], variables: Sequence[int], batch: int
) -> dict[int, Any]:
    """Gradients (b, *shape) of `variables`, through all operations that lead from them to `cotangents`.

    `cotangents` has gradients (b, *shape) by the name of a derived tensor.

    Raises
    ------
    Unsupported
        If an operation on the way has no rule.
    """
    waiting: dict[str, Any] = dict(cotangents)
    gathered: dict[int, list[Any]] = {i: [] for i in variables}
    wanted = set(variables)
    for op in reversed(found.derived):
        outputs = [waiting.pop(t.name, None) for t in op.outputs]
        if all(g is None for g in outputs):
            continue
        for j, tensor in enumerate(op.inputs):
            source = found.sources.get(tensor.name)
            if source is None or not source.variables & wanted:
                continue
            gradient = tf.reshape(_through(op, j, outputs, source.shape), (batch, *source.shape))
            if source.name == "":
                gathered[next(iter(source.variables))].append(gradient)
            else:
                known = waiting.get(source.name)
                waiting[source.name] = gradient if known is None else known + gradient
    return {i: tf.add_n(parts) for i, parts in gathered.items() if parts}


def _through(op: Any, argument: int, outputs: Sequence[Any], shape: Shape) -> Any:
    if is_rearranging(op):
        return tf.add_n([_replaced(op, k, g, shape) for k, g in enumerate(outputs) if g is not None])
    (g,) = outputs if len(outputs) == 1 else (None,)
    if g is None or has_own_gradient(op):
        raise Unsupported(f"a parameter goes through `{op.type}`")
    if op.type in _UNARY or (op.type == "Pow" and argument == 0 and op.outputs[0].shape == shape):
        (slope,) = tf.gradients(op.outputs[0], op.inputs[0])
        return g * wide(slope)
    if op.type not in _RULES:
        raise Unsupported(f"a parameter goes through `{op.type}`, which has no rule")
    return _RULES[op.type](op, argument, g, shape)


def _replaced(op: Any, output: int, g: Any, shape: Shape) -> Any:
    """Entries back where they came from; those that were dropped receive nothing."""
    size = int(np.prod(shape, dtype=np.int64))
    flat = tf.reshape(g, (g.shape[0], -1))
    places = rearranged(op, output, np.arange(size).reshape(shape)).ravel()
    if len(places) == size and (places == np.arange(size)).all():
        return flat
    origin = np.full(size, len(places))
    origin[places] = np.arange(len(places))
    if len(places) < size:
        flat = tf.pad(flat, [[0, 0], [0, 1]])
    return tf.gather(flat, origin, axis=1)


def _unbroadcast(value: Any, shape: Shape) -> Any:
    """Sum of (b, *result) over the axes along which an input of `shape` was repeated."""
    rank = value.shape.rank - 1
    padded = (1,) * (rank - len(shape)) + shape
    axes = [a + 1 for a, n in enumerate(padded) if n == 1 and value.shape[a + 1] != 1]
    return tf.reduce_sum(value, axes) if axes else value


def _add(op: Any, argument: int, g: Any, shape: Shape) -> Any:
    return _unbroadcast(g, shape)


def _subtract(op: Any, argument: int, g: Any, shape: Shape) -> Any:
    return _unbroadcast(g if argument == 0 else -g, shape)


def _multiply(op: Any, argument: int, g: Any, shape: Shape) -> Any:
    return _unbroadcast(g * wide(op.inputs[1 - argument]), shape)


def _divide(op: Any, argument: int, g: Any, shape: Shape) -> Any:
    above, below = (wide(t) for t in op.inputs)
    return _unbroadcast(g / below if argument == 0 else -g * above / below**2, shape)


def _maximum(op: Any, argument: int, g: Any, shape: Shape) -> Any:
    chosen = wide(op.inputs[argument]) == wide(op.outputs[0])
    return _unbroadcast(tf.where(chosen, g, tf.zeros_like(g)), shape)


def _kept(op: Any, shape: Shape) -> list[int]:
    """The shape of a reduction's result, with axes of length 1 where it summed."""
    axes = {int(a) % len(shape) for a in np.atleast_1d(constant(op.inputs[1]))}
    return [1 if a in axes else n for a, n in enumerate(shape)]


def _sum(op: Any, argument: int, g: Any, shape: Shape) -> Any:
    return tf.broadcast_to(tf.reshape(g, (-1, *_kept(op, shape))), (g.shape[0], *shape))


def _mean(op: Any, argument: int, g: Any, shape: Shape) -> Any:
    return _sum(op, argument, g, shape) * (np.prod(_kept(op, shape)) / np.prod(shape))


def _concat(op: Any, argument: int, g: Any, shape: Shape) -> Any:
    axis = int(constant(op.inputs[-1])) % len(static_shape(op.inputs[0]))
    sizes = [static_shape(t)[axis] for t in op.inputs[:-1]]
    return tf.split(g, sizes, axis=axis + 1)[argument]


def _pack(op: Any, argument: int, g: Any, shape: Shape) -> Any:
    axis = op.get_attr("axis")
    return tf.gather(g, argument, axis=axis + 1 if axis >= 0 else axis)


def _gather(op: Any, argument: int, g: Any, shape: Shape) -> Any:
    resource = op.type == "ResourceGather"
    if argument != 0 or op.get_attr("batch_dims") or not (resource or int(constant(op.inputs[2])) == 0):
        raise Unsupported(f"a parameter goes through `{op.type}` along another axis than the first")
    index = tf.reshape(op.inputs[1], [-1])
    values = tf.transpose(tf.reshape(g, (g.shape[0], index.shape[0], -1)), [1, 0, 2])
    return tf.transpose(tf.math.unsorted_segment_sum(values, index, shape[0]), [1, 0, 2])


def _matmul(op: Any, argument: int, g: Any, shape: Shape) -> Any:
    other = wide(op.inputs[1 - argument])
    flip_a, flip_b = op.get_attr("transpose_a"), op.get_attr("transpose_b")
    if argument == 0:
        left = tf.einsum("nij,kj->nik", g, tf.transpose(other) if flip_b else other)
        return tf.linalg.matrix_transpose(left) if flip_a else left
    right = tf.einsum("ki,nkj->nij", tf.transpose(other) if flip_a else other, g)
    return tf.linalg.matrix_transpose(right) if flip_b else right


_RULES: dict[str, Callable[[Any, int, Any, Shape], Any]] = {
    "Add": _add,
    "AddN": _add,
    "AddV2": _add,
    "BroadcastTo": _add,
    "ConcatV2": _concat,
    "GatherV2": _gather,
    "MatMul": _matmul,
    "Maximum": _maximum,
    "Mean": _mean,
    "Minimum": _maximum,
    "Mul": _multiply,
    "Pack": _pack,
    "RealDiv": _divide,
    "ResourceGather": _gather,
    "Sub": _subtract,
    "Sum": _sum,
}
