"""The model is found again as it was: what a forward pass changes gets its values back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import tensorflow as tf


@contextmanager
def left_as_it_was(variables: Sequence[tf.Variable]) -> Iterator[None]:
    """Restore counters, caches and random states that a forward pass has changed, also after an exception."""
    kept = [(v, v.value()) for v in variables]
    try:
        yield
    finally:
        for variable, value in kept:
            if not bool(tf.reduce_all(variable.value() == value)):
                variable.assign(value)
