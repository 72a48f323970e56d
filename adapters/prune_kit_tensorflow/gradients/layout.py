"""Where the examples lie in a tensor: which axis is the batch, also when it is merged with others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf


class Unsupported(Exception):  # noqa: N818 - a reason to go another way, not a failure
    """The model does something the per-operation method has no exact answer for; the message says what."""


@dataclass(frozen=True)
class Layout:
    """Examples lie along `axis`, whose length is `before * batch * after`.

    `(batch * time, features)` is `Layout(0, 1, time)`, `(time, batch, features)` is `Layout(1, 1, 1)`.
    """

    axis: int
    before: int
    after: int

    def rows(self, batch: int, size: int | None) -> Rows:
        """The layout for a batch of `batch` examples, on an axis of length `size`.

        Raises
        ------
        Unsupported
            If the axis cannot be split that way.
        """
        before, after = self.before, self.after
        if size is None or size % batch:
            raise Unsupported(f"an axis of length {size} does not hold {batch} examples")
        if before == 1:
            after = size // batch
        elif after == 1:
            before = size // batch
        elif before * batch * after != size:
            raise Unsupported(f"an axis of length {size} does not hold {before} x {batch} x {after}")
        return Rows(self.axis, before, batch, after)


@dataclass(frozen=True)
class Rows:
    """A `Layout` at a given batch size."""

    axis: int
    before: int
    batch: int
    after: int

    @property
    def inner(self) -> int:
        """How many indices of the batch axis belong to one example."""
        return self.before * self.after

    def on(self, axis: int) -> Rows:
        """The same, along another axis."""
        return Rows(axis, self.before, self.batch, self.after)

    def first(self, tensor: Any) -> Any:
        """Examples first: `(batch, *shape)` with the batch axis of `shape` cut to what one example holds."""
        shape = static_shape(tensor)
        head, tail = shape[: self.axis], shape[self.axis + 1 :]
        if math.prod(head) * self.before == 1:
            return tf.reshape(tensor, (self.batch, *head, self.after, *tail))
        split = tf.reshape(tensor, (*head, self.before, self.batch, self.after, *tail))
        at = self.axis + 1
        order = [at, *range(at), *range(at + 1, len(shape) + 2)]
        return tf.reshape(tf.transpose(split, order), (self.batch, *head, self.inner, *tail))


def static_shape(tensor: Any) -> tuple[int, ...]:
    """The shape of a symbolic tensor.

    Raises
    ------
    Unsupported
        If the graph does not tell it.
    """
    shape = tensor.shape.as_list() if tensor.shape.rank is not None else [None]
    if None in shape:
        raise Unsupported(f"the shape of `{tensor.op.type}` depends on values")
    return tuple(shape)


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def find_layout(touched: Sequence[npt.NDArray[np.bool_]], batch: int) -> Layout | None:
    """The layout under which `touched[i]`, where the gradient of example i's loss is not zero, is i's own.

    Returns None where there is none. An axis that merely has the batch's length is not mistaken for it:
    the gradients of several examples must each lie in their own block.
    """
    shape = touched[0].shape
    for axis, length in enumerate(shape):
        if length == 0 or length % batch:
            continue
        others = tuple(a for a in range(len(shape)) if a != axis)
        along = np.stack([t.any(axis=others) for t in touched])
        inner = length // batch
        # Batch-major first, then batch innermost: with few nonzero entries several may fit.
        for after in sorted(_divisors(inner), key=lambda d: (d != inner, d != 1)):
            owner = np.arange(length) // after % batch
            if not (along & (owner[None, :] != np.arange(len(touched))[:, None])).any():
                return Layout(axis, inner // after, after)
    return None
