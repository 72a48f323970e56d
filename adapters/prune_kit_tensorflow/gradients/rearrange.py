"""Operations that only move the entries of a tensor, or drop some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from .grouped import OWN_GRADIENT
from .layout import Unsupported

Places = npt.NDArray[np.int64]


def constant(tensor: Any) -> Any:
    """The value of a symbolic tensor that does not depend on what the graph is given.

    Raises
    ------
    Unsupported
        If TensorFlow cannot tell it.
    """
    value = tf.get_static_value(tensor)
    if value is None:
        raise Unsupported(f"an argument of a parameter's `{tensor.consumers()[0].type}` depends on values")
    return value


def _reshape(op: Any, output: int, places: Places) -> Places:
    return places.reshape(op.outputs[0].shape.as_list())


def _same(op: Any, output: int, places: Places) -> Places:
    return places


def _transpose(op: Any, output: int, places: Places) -> Places:
    return places.transpose(constant(op.inputs[1]))


def _strided_slice(op: Any, output: int, places: Places) -> Places:
    masks = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    begin, end, strides = (constant(op.inputs[i]) for i in (1, 2, 3))
    with tf.init_scope():
        sliced = tf.raw_ops.StridedSlice(
            input=places, begin=begin, end=end, strides=strides, **{m: op.get_attr(m) for m in masks}
        )
        return np.asarray(sliced)


def _slice(op: Any, output: int, places: Places) -> Places:
    begin, size = constant(op.inputs[1]), constant(op.inputs[2])
    return places[tuple(slice(b, None if s < 0 else b + s) for b, s in zip(begin, size, strict=True))]


def _split(op: Any, output: int, places: Places) -> Places:
    return np.split(places, len(op.outputs), axis=int(constant(op.inputs[0])))[output]


def _split_v(op: Any, output: int, places: Places) -> Places:
    axis = int(constant(op.inputs[2]))
    sizes = [o.shape.as_list()[axis] for o in op.outputs]
    return np.split(places, np.cumsum(sizes)[:-1], axis=axis)[output]


def _unpack(op: Any, output: int, places: Places) -> Places:
    return np.asarray(places.take(output, axis=op.get_attr("axis")))


def _reverse(op: Any, output: int, places: Places) -> Places:
    return np.flip(places, axis=tuple(int(a) for a in constant(op.inputs[1])))


_RULES: dict[str, Callable[[Any, int, Places], Places]] = {
    "Cast": _same,
    "ExpandDims": _reshape,
    "Identity": _same,
    "Reshape": _reshape,
    "ReverseV2": _reverse,
    "Slice": _slice,
    "Split": _split,
    "SplitV": _split_v,
    "Squeeze": _reshape,
    "StridedSlice": _strided_slice,
    "Transpose": _transpose,
    "Unpack": _unpack,
}


def is_rearranging(op: Any) -> bool:
    """Whether `op` only moves entries of its tensor input, each to one place at most."""
    return op.type in _RULES and not has_own_gradient(op)


def has_own_gradient(op: Any) -> bool:
    """Whether the user replaced the gradient of `op`."""
    try:
        return bool(op.get_attr("_gradient_op_type").decode() != OWN_GRADIENT)
    except ValueError:
        return False


def rearranged(op: Any, output: int, places: Places) -> Places:
    """What `op` makes of an array of places, as its result number `output`."""
    return _RULES[op.type](op, output, places)
