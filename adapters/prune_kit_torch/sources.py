"""What data may be: arrays, Datasets and DataLoaders, read in their own order or shuffled, ids at hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from prune_kit.data import Examples
from prune_kit.errors import PruneKitError

from .array_source import ArraySource, from_examples
from .batches import Ids, Inputs, RawBatch
from .dataset_source import DatasetSource


class Source(Protocol):
    """Examples that can be read in the data set's own order, and shuffled for training."""

    @property
    def labels(self) -> Tensor | None:
        """The labels of all examples, where they are at hand without reading the data."""
        ...

    def __len__(self) -> int: ...

    def ordered(self, batch_size: int | None) -> Iterator[tuple[Ids, Inputs, Tensor]]:
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

    def to(self, device: torch.device) -> Source:
        """The same examples, kept on `device` where they fit."""
        ...


def as_source(data: Any, *, like: Source | None = None) -> Source:
    """`data` as a `Source`.

    Parameters
    ----------
    data
        Examples of the core; (inputs, labels) or (inputs, labels, ids) as arrays; a Dataset (of (x, y),
        (x, y, id) or dicts); or a DataLoader, of which the data set, the collate function and the
        workers are used for scoring, and the loader itself for training.
    like
        The source of other `Examples`, such as those that are trained on: images are then standardised with
        the mean and deviation of these and not of their own, as a model that was trained on them needs it.

    Raises
    ------
    PruneKitError
        If it is none of these, or is empty.
    """
    source: Source
    if isinstance(data, (ArraySource, DatasetSource)):
        source = data
    elif isinstance(data, Examples):
        source = from_examples(data, like=like)
    elif isinstance(data, DataLoader):
        source = DatasetSource(data.dataset, loader=data)
    elif isinstance(data, TensorDataset) and len(data.tensors) in (2, 3):
        inputs, labels, *own_ids = data.tensors
        source = ArraySource(inputs, labels, own_ids[0] if own_ids else None)
    elif isinstance(data, (tuple, list)) and len(data) in (2, 3) and all(map(_is_array, data)):
        source = ArraySource(*data)
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, (tuple, list)):
        source = DatasetSource(data)
    else:
        raise PruneKitError(
            "`data` must be a Dataset with a length, a DataLoader, or a pair of arrays (inputs, labels); "
            f"got {type(data).__name__}.",
            hint="examples that stream need ids of their own and a length: wrap them in a Dataset",
        )
    if len(source) == 0:
        raise PruneKitError("`data` has no examples.")
    return source


def _is_array(x: Any) -> bool:
    return hasattr(x, "shape") or hasattr(x, "__array__")
