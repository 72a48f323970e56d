"""What every form of per-example gradients offers, and what all of them count with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import tensorflow as tf

_LIMIT = 64 * 2**20
"""Bytes that temporaries of one operation may take at once, about."""


class Factor(Protocol):
    """The gradients of the examples of a batch for one tensor; a frozen dataclass, examples first."""

    def squared_norms(self) -> Any:
        """Shape (b,)."""

    def written_out(self) -> Any:
        """Shape (b, *shape)."""


AnyFactor = TypeVar("AnyFactor")


def wide(tensor: Any) -> Any:
    """At least float32: sums of squares in half precision are worthless."""
    return tf.cast(tensor, tf.float32) if tensor.dtype in (tf.float16, tf.bfloat16) else tensor


def squares(tensor: Any) -> Any:
    """Sum of squares of each example, shape (b,)."""
    return tf.reduce_sum(tf.square(tensor), axis=list(range(1, tensor.shape.rank)))


def taken(factor: AnyFactor, start: int, stop: int) -> AnyFactor:
    """The gradients of some examples."""

    def part(value: Any) -> Any:
        if tf.is_tensor(value):
            return value[start:stop]
        if isinstance(value, tuple):
            return tuple(map(part, value))
        return taken(value, start, stop) if dataclasses.is_dataclass(value) else value

    # Every factor is a dataclass, which no protocol can say.
    fields = dataclasses.fields(factor)  # type: ignore[arg-type]
    return dataclasses.replace(  # type: ignore[type-var]
        factor, **{f.name: part(getattr(factor, f.name)) for f in fields}
    )


def in_blocks(compute: Callable[[int, int], Any], batch: int, numbers: float) -> Any:
    """Concatenate `compute(start, stop)` over ranges of examples whose temporaries fit, one after another.

    `numbers` is how many one example takes.
    """
    step = max(1, min(batch, int(_LIMIT / max(1.0, 4 * numbers))))
    count = -(-batch // step)
    step = -(-batch // count)
    parts: list[Any] = []
    for start in range(0, batch, step):
        # Without an order TensorFlow would run all blocks at once, and need room for all.
        with tf.control_dependencies(parts[-1:]):
            parts.append(compute(start, min(batch, start + step)))
    return parts[0] if len(parts) == 1 else tf.concat(parts, 0)
