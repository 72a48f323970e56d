"""What the element types and lengths of a tf.data pipeline tell of its batches."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from prune_kit.errors import PruneKitError

from .parts import parts_of


def is_batched(dataset: tf.data.Dataset) -> bool:
    """Whether the elements of a pipeline are batches, judged by the labels.

    Labels are class indices, a scalar or (b,), or soft, (c,) or (b, c). Vectors of floating-point numbers are
    soft labels of one example; vectors of integers are a batch, unless the inputs say otherwise.

    Raises
    ------
    PruneKitError
        If the pipeline has no element.
    """
    parts = parts_of(dataset.element_spec)
    if getattr(parts.labels, "shape", tf.TensorShape(None)).rank is None:
        first = next(iter(dataset.take(1)), None)
        if first is None:
            raise PruneKitError("`data` has no examples.")
        parts = parts_of(first)
    rank, is_soft = parts.labels.shape.rank, parts.labels.dtype.is_floating
    if rank != 1:
        return bool(rank > 1)
    if parts.labels.shape[0] is None:
        return True
    firsts = {_first_axis(part) for part in tf.nest.flatten(parts.inputs)}
    return not is_soft and firsts <= {parts.labels.shape[0], None}


def lost_examples(dataset: tf.data.Dataset) -> int:
    """How many examples ``batch(..., drop_remainder=True)`` leaves out, as far as lengths are known."""
    following = dataset
    # Without this private way back through the pipeline there is no telling, and nothing is found.
    while len(inputs := list(getattr(following, "_inputs", list)())) == 1:
        before: tf.data.Dataset = inputs[0]
        size, examples, batches = (
            _batch_size(following),
            int(before.cardinality()),
            int(following.cardinality()),
        )
        if size is not None and _rank(following) == (_rank(before) or 0) + 1 and min(examples, batches) >= 0:
            lost = examples - batches * size
            if 0 < lost < size:
                return lost
        following = before
    return 0


def _leading(dataset: tf.data.Dataset) -> tf.TensorShape:
    """The shape of the first part of an element."""
    return getattr(tf.nest.flatten(dataset.element_spec)[0], "shape", tf.TensorShape(None))


def _batch_size(dataset: tf.data.Dataset) -> int | None:
    shape = _leading(dataset)
    return shape[0] if shape.rank else None


def _rank(dataset: tf.data.Dataset) -> int | None:
    rank: int | None = _leading(dataset).rank
    return rank


def _first_axis(part: Any) -> int | None:
    shape = getattr(part, "shape", tf.TensorShape(None))
    return shape[0] if shape.rank else None
