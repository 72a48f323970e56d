"""Examples of a keras.utils.PyDataset (once Sequence), whose batches are had by position."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from prune_kit.errors import PruneKitError

from .batches import Ids, Inputs, RawBatch, split_batch
from .readings import Reading, Readings


class SequenceSource:
    """Examples of a PyDataset of (x, y), (x, y, id) or dicts.

    Parameters
    ----------
    sequence
        Of finite length. Its `on_epoch_end` is not called: it may change which examples a batch holds.
    """

    def __init__(self, sequence: keras.utils.PyDataset) -> None:
        if sequence.num_batches is None:
            raise PruneKitError(
                f"`data` must have a length; got a {type(sequence).__name__} without end.",
                hint="let num_batches give a number: every example is scored once",
            )
        if sequence.num_batches == 0:
            raise PruneKitError("`data` has no examples.")
        self._sequence = sequence
        self._readings = Readings(known_by_order=False)

    @property
    def labels(self) -> None:
        """See `Source.labels`: not known without reading every example."""

    def __len__(self) -> int:
        if self._readings.first is None:
            for _ in self.ordered(None):
                pass
        assert self._readings.first is not None
        return self._readings.first.examples

    def _batch(self, position: int) -> RawBatch:
        ids, inputs, labels = split_batch(self._sequence[position])
        return RawBatch(ids, tf.nest.map_structure(tf.convert_to_tensor, inputs), labels)

    def ordered(self, batch_size: int | None) -> Iterator[tuple[Ids, Inputs, tf.Tensor]]:
        """See `Source.ordered`; batches above `batch_size` are cut."""
        reading = Reading()
        position = 0
        for i in range(self._sequence.num_batches):
            ids, inputs, labels = self._batch(i)
            n = len(labels)
            ids = np.arange(position, position + n) if ids is None else ids
            position += n
            reading.add(ids, labels.numpy(), [np.asarray(part) for part in tf.nest.flatten(inputs)])
            step = batch_size or n
            for start in range(0, n, step):
                rows = slice(start, start + step)
                yield ids[rows], tf.nest.map_structure(lambda x, rows=rows: x[rows], inputs), labels[rows]
        self._readings.check(reading.summary())

    def shuffled(self, batch_size: int, seed: int) -> Iterator[RawBatch]:
        """See `Source.shuffled`; the batches are the PyDataset's own, in the order that `seed` gives."""
        for i in np.random.default_rng(seed).permutation(self._sequence.num_batches).tolist():
            yield self._batch(i)

    def steps(self, batch_size: int) -> int:
        """See `Source.steps`."""
        return int(self._sequence.num_batches)

    def fingerprint(self) -> str:
        """SHA-256 of all ids and labels and of the inputs of up to 64 examples.

        Warns if an example is another one when it is read again: scores need data without augmentation.
        """
        for _ in range(1 if self._readings.first else 2):
            for _ in self.ordered(None):
                pass
        return self._readings.fingerprint()
