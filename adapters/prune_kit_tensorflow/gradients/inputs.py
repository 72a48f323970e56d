"""What a batch may look like, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from prune_kit.errors import PruneKitError

from ..batches import Inputs


def as_tensors(inputs: Inputs) -> Inputs:
    """`inputs` with every array as a tensor; what is no array stays as it is."""

    def convert(value: Any) -> Any:
        return tf.convert_to_tensor(value) if isinstance(value, np.ndarray | tf.Variable) else value

    return tf.nest.map_structure(convert, inputs)


def examples(inputs: Inputs, batch: int, index: Any) -> Inputs:
    """The batch of the examples in `index`; what does not have `batch` rows is shared and left alone."""

    def pick(value: Any) -> Any:
        return tf.gather(value, index) if has_rows(value, batch) else value

    return tf.nest.map_structure(pick, inputs)


def has_rows(value: Any, batch: int) -> bool:
    """Whether `value` is a tensor with one row per example."""
    return tf.is_tensor(value) and bool(value.shape.rank) and value.shape[0] == batch


def check_batch(inputs: Inputs, labels: Any) -> int:
    """How many examples there are.

    Raises
    ------
    PruneKitError
        If `labels` is no tensor with rows, or no input has one row per label.
    """
    if not tf.is_tensor(labels) or not labels.shape.rank or labels.shape[0] == 0:
        got = tuple(labels.shape) if tf.is_tensor(labels) else type(labels).__name__
        raise PruneKitError(
            f"`labels` must be a tensor with one row per example, at least one; got {got}.",
            hint="make a tensor of the labels of this batch with tf.convert_to_tensor",
        )
    batch = int(labels.shape[0])
    shapes = [tuple(v.shape) for v in tf.nest.flatten(inputs) if tf.is_tensor(v)]
    if not any(shape[:1] == (batch,) for shape in shapes):
        raise PruneKitError(
            f"`inputs` must hold a tensor with one row per label, {batch}; got shapes {shapes}.",
            hint="examples lie along the first axis of every input",
        )
    return batch


def check_rows(logits: Any, batch: int) -> None:
    """Raise PruneKitError unless `logits` have `batch` rows."""
    if logits.shape.rank == 0 or logits.shape[0] != batch:
        raise PruneKitError(
            f"the model must give one row of logits per example, ({batch}, ...); got {tuple(logits.shape)}.",
            hint="examples lie along the first axis of inputs, logits and labels",
        )


def check_finite(finite: Sequence[bool]) -> None:
    """Raise PruneKitError unless the logits of all rows are `finite`."""
    if not all(finite):
        rows = [i for i, good in enumerate(finite) if not good]
        raise PruneKitError(
            f"logits must be finite; those of the examples at positions {rows[:10]} of the batch are not.",
            hint="look for NaN in inputs and weights; float16 overflows above 65504: use bfloat16 or float32",
        )


def finite_rows(logits: Any) -> Any:
    """Whether each row of `logits` is finite, shape (b,)."""
    return tf.reduce_all(tf.math.is_finite(logits), axis=list(range(1, logits.shape.rank)))
