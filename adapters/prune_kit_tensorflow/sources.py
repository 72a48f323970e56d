"""What data may be: arrays, tf.data pipelines, PyDatasets, read in their own order or shuffled, with ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import keras
import tensorflow as tf

from prune_kit.data import Examples
from prune_kit.errors import PruneKitError

from .array_source import ArraySource, from_examples
from .batches import Ids, Inputs, RawBatch
from .pipeline_source import PipelineSource
from .sequence_source import SequenceSource


class Source(Protocol):
    """Examples that can be read in the data set's own order, and shuffled for training."""

    @property
    def labels(self) -> tf.Tensor | None:
        """The labels of all examples, where they are at hand without reading the data."""
        ...

    def __len__(self) -> int: ...

    def ordered(self, batch_size: int | None) -> Iterator[tuple[Ids, Inputs, tf.Tensor]]:
        """Every example once, in the data set's own order: batches of ids, inputs and labels."""
        ...

    def shuffled(self, batch_size: int, seed: int) -> Iterator[RawBatch]:
        """The training batches of one epoch, in the order that `seed` gives."""
        ...

    def steps(self, batch_size: int) -> int:
        """How many batches `shuffled` gives."""
        ...

    def fingerprint(self) -> str:
        """What tells this data from other data, as hexadecimal digits."""
        ...


def as_source(data: Any, *, like: Source | None = None) -> Source:
    """`data` as a `Source`.

    Parameters
    ----------
    data
        Examples of the core; (inputs, labels) or (inputs, labels, ids) as arrays; a tf.data.Dataset or a
        keras.utils.PyDataset of (x, y), (x, y, id) or dicts, batched or not. For training, a tf.data.Dataset
        is used as it is, and must shuffle by itself.
    like
        The source of other `Examples`, such as those that are trained on: images are then standardised with
        the mean and deviation of these and not of their own, as a model that was trained on them needs it.

    Raises
    ------
    PruneKitError
        If it is none of these, has no end, or is empty (of some pipelines only reading tells).
    """
    if isinstance(data, (ArraySource, PipelineSource, SequenceSource)):
        return data
    if isinstance(data, Examples):
        return from_examples(data, like=like)
    if isinstance(data, tf.data.Dataset):
        return PipelineSource(data)
    if isinstance(data, keras.utils.PyDataset):
        return SequenceSource(data)
    if isinstance(data, (tuple, list)) and len(data) in (2, 3) and all(map(_is_array, data)):
        return ArraySource(*data)
    raise PruneKitError(
        "`data` must be a tf.data.Dataset, a keras.utils.PyDataset, or a pair of arrays (inputs, labels); "
        f"got {type(data).__name__}.",
        hint="a generator needs a length and an order: tf.data.Dataset.from_generator",
    )


def _is_array(x: Any) -> bool:
    return hasattr(x, "shape") or hasattr(x, "__array__")
