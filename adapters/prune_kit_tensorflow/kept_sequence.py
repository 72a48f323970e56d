"""The kept examples of a keras.utils.PyDataset, as one."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from prune_kit.kept_positions import kept_positions

from .example_ids import own_ids
from .sequence_positions import SequencePositions


class KeptSequence(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Batches of the kept examples, of the size of the other's batches and in its order; see `subset`."""

    def __init__(self, sequence: keras.utils.PyDataset, kept: Any, *, ids: Any) -> None:
        super().__init__(
            workers=sequence.workers,
            use_multiprocessing=sequence.use_multiprocessing,
            max_queue_size=sequence.max_queue_size,
        )
        self._sequence = sequence
        places = SequencePositions(sequence)
        self._size = places.batch_size
        positions = kept_positions(kept, places.examples, ids=ids, own_ids=lambda: own_ids(sequence))
        # In the other's order, so that a batch needs no more than a few of its batches.
        self._positions = np.sort(positions)

    @property
    def num_batches(self) -> int:
        """How many batches the kept examples fill."""
        return -(-len(self._positions) // self._size)

    def __getitem__(self, index: int) -> Any:
        positions = self._positions[index * self._size : (index + 1) * self._size]
        sources = positions // self._size
        parts = [
            tf.nest.map_structure(
                lambda rows, chosen=positions[sources == source] % self._size: _taken(rows, chosen),
                self._sequence[int(source)],
            )
            for source in np.unique(sources)
        ]
        return tf.nest.map_structure(lambda *rows: _joined(rows), *parts)


def _taken(rows: Any, chosen: Any) -> Any:
    return tf.gather(rows, chosen) if tf.is_tensor(rows) else np.asarray(rows)[chosen]


def _joined(parts: Any) -> Any:
    if len(parts) == 1:
        return parts[0]
    return tf.concat(parts, axis=0) if tf.is_tensor(parts[0]) else np.concatenate(parts)
