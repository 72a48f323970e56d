"""A data set that says whose examples it gives, and gives the same ones."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from prune_kit.errors import PruneKitError

from .pipeline_order import check_keeps_order
from .pipelines import is_batched
from .sequence_positions import SequencePositions

_ID_TYPES = (tf.int64, tf.int32, tf.string)


def with_ids(data: Any, /) -> Any:
    """Give the ids of the examples beside each element of a data set.

    Parameters
    ----------
    data
        A tf.data.Dataset of (x, y[, sample_weight]) or dicts with labels, batched or not, before it is
        shuffled, repeated or augmented; or a keras.utils.PyDataset that holds the same batches in each
        epoch. It is not changed.

    Returns
    -------
    tf.data.Dataset or keras.utils.PyDataset
        Gives ``(ids, element)``: ids int64, the positions of the examples in the data set, a scalar, or shape
        (b,) beside a batch; the element as the data set itself gives it. The ids go along through what comes
        next: ``with_ids(data).shuffle(n).batch(b)``, and
        ``.map(lambda ids, element: (ids, augmented(*element)))``.

    Raises
    ------
    PruneKitError
        If it is no such data set, has no end, or shuffles or repeats already, as far as the pipeline tells.

    Examples
    --------
    >>> import tensorflow as tf
    >>> data = tf.data.Dataset.from_tensor_slices(([10.0, 11.0, 12.0], [0, 1, 1]))
    >>> for ids, (inputs, labels) in with_ids(data).batch(2):
    ...     print(ids.numpy().tolist(), inputs.numpy().tolist())
    [0, 1] [10.0, 11.0]
    [2] [12.0]
    """
    if isinstance(data, tf.data.Dataset):
        check_keeps_order(data)
        if not is_batched(data):
            return data.enumerate()
        return data.scan(np.int64(0), tf.autograph.experimental.do_not_convert(_numbered_batch))
    if isinstance(data, keras.utils.PyDataset):
        return IdentifiedSequence(data)
    raise PruneKitError(
        f"`data` must be a tf.data.Dataset or a keras.utils.PyDataset; got {type(data).__name__}.",
        hint="of arrays: tf.data.Dataset.from_tensor_slices((inputs, labels))",
    )


def _numbered_batch(position: tf.Tensor, *element: Any) -> tuple[tf.Tensor, Any]:
    batch = element[0] if len(element) == 1 else element
    rows = tf.shape(tf.nest.flatten(batch)[0], tf.int64)[0]
    return position + rows, (tf.range(position, position + rows), batch)


def is_identified(element: Any) -> bool:
    """Whether an element, or its type, is (ids, element), as `with_ids` gives it.

    Ids beside a batch are a vector, and beside one example a scalar, of integers or strings; a pair (x, y)
    whose y is one tensor is none.
    """
    if not isinstance(element, (tuple, list)) or len(element) != 2 or not tf.nest.is_nested(element[1]):
        return False
    ids = element[0]
    if isinstance(ids, np.ndarray):
        return ids.ndim == 1 and ids.dtype.kind in "iuUTSO"
    is_tensor = isinstance(ids, (tf.Tensor, tf.TensorSpec))
    return is_tensor and ids.dtype in _ID_TYPES and ids.shape.rank in (0, 1)


class IdentifiedSequence(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """A PyDataset that gives (ids, batch) for each batch of another."""

    def __init__(self, sequence: keras.utils.PyDataset) -> None:
        super().__init__(
            workers=sequence.workers,
            use_multiprocessing=sequence.use_multiprocessing,
            max_queue_size=sequence.max_queue_size,
        )
        self._sequence = sequence
        self._positions = SequencePositions(sequence)

    @property
    def num_batches(self) -> int:
        """As of the other."""
        return int(self._sequence.num_batches)

    @property
    def examples(self) -> int:
        """How many examples there are."""
        return self._positions.examples

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        batch = self._sequence[index]
        return self._positions.of_batch(index, batch), batch
