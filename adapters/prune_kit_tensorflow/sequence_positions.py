"""Which examples the batches of a keras.utils.PyDataset hold, where these are the same in each epoch."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError


class SequencePositions:
    """Positions of the examples: batches one after the other, all of one size but the last.

    Parameters
    ----------
    sequence
        Of finite length.

    Raises
    ------
    PruneKitError
        If it has no end, or hooks that may change between two epochs which examples a batch holds.
    """

    def __init__(self, sequence: keras.utils.PyDataset) -> None:
        name = type(sequence).__name__
        if sequence.num_batches is None:
            raise PruneKitError(
                f"`data` must have a length; got a {name} without end.",
                hint="let num_batches give a number",
            )
        if sequence.num_batches == 0:
            raise PruneKitError("`data` has no examples.")
        for hook in ("on_epoch_begin", "on_epoch_end"):
            if getattr(type(sequence), hook, None) is not getattr(keras.utils.PyDataset, hook, None):
                raise PruneKitError(
                    f"{name} has an {hook} of its own, after which a batch may hold other examples: "
                    "places do not tell which ones.",
                    hint="let it give (ids, batch), ids of shape (b,) that name its examples",
                )
        self._sequence = sequence

    @cached_property
    def batch_size(self) -> int:
        """The size of all batches but the last."""
        return rows_of(self._sequence[0])

    @cached_property
    def examples(self) -> int:
        """How many examples there are."""
        whole = int(self._sequence.num_batches) - 1
        return whole * self.batch_size + (rows_of(self._sequence[whole]) if whole else self.batch_size)

    def of_batch(self, index: int, batch: Any) -> NumpyArray:
        """Positions of the examples of a batch, shape (b,), int64.

        Raises
        ------
        PruneKitError
            If a batch that is not the last has another size than the first.
        """
        rows = rows_of(batch)
        is_last = index == int(self._sequence.num_batches) - 1
        if rows > self.batch_size or (rows < self.batch_size and not is_last):
            raise PruneKitError(
                f"the batches must have one size, but for the last: batch 0 has {self.batch_size} examples, "
                f"batch {index} has {rows}.",
                hint="let the PyDataset give (ids, batch), ids of shape (b,) that name its examples",
            )
        start = index * self.batch_size
        return np.arange(start, start + rows)


def rows_of(batch: Any) -> int:
    """How many examples a batch holds."""
    return len(tf.nest.flatten(batch)[0])
