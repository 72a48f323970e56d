"""The kept examples of a data set, as the same kind of data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.utils.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
)

from prune_kit.arrays import as_array
from prune_kit.data import Examples
from prune_kit.errors import PruneKitError
from prune_kit.ids import some
from prune_kit.kept_positions import kept_positions

from .example_ids import is_hugging_face, own_ids
from .loader_settings import settings_of


def subset(data: Any, kept: Any, /, *, ids: Any = None) -> Any:
    """Take the kept examples of a data set.

    Parameters
    ----------
    data
        A map-style Dataset, a Hugging Face Dataset, `Examples`, arrays (inputs, labels[, ids]), or a
        DataLoader of a Dataset.
    kept
        Which examples. An array or list of integers holds positions, as the `keep_` functions return
        them, unless `ids` is given. A path (a file of ids: .parquet, .txt, .npy, .csv), a `ScoreTable` and
        strings hold ids.
    ids
        The ids of all examples of `data`, by which `kept` is looked up, also if it holds integers. By
        default, where `kept` holds ids, those that `score` takes: of `Examples`, the third array, the column
        id of a Hugging Face Dataset; where there are none, ids are positions.

    Returns
    -------
    the same kind as `data`
        In the order of `kept`: a `torch.utils.data.Subset` of a Dataset, `select` of a Hugging Face
        Dataset, `take` of `Examples`, arrays of the kept rows; of a DataLoader one with all its other
        settings over the subset. A DataLoader that is yet to be made can be given the positions instead,
        ``DataLoader(data, sampler=torch.utils.data.SubsetRandomSampler(kept))``.

    Raises
    ------
    PruneKitError
        If `kept` is empty, names an example twice, is out of range, has ids that `data` has not, or is no
        integers; if it holds ids and the Dataset gives each example's own with it, so that all would have to
        be read for them; if `data` streams, or is a DataLoader with a sampler of the user's own.

    Examples
    --------
    >>> import torch
    >>> data = torch.utils.data.TensorDataset(torch.arange(10))
    >>> [int(x) for (x,) in subset(data, [2, 5, 7])]
    [2, 5, 7]
    """
    if isinstance(data, DataLoader):
        return _loader(data, kept, ids)
    if isinstance(data, Mapping):
        raise PruneKitError(
            f"`data` must be one data set; got a {type(data).__name__} of {some(list(data))}.",
            hint="give one of these: data['train']",
        )
    has_positions = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    if isinstance(data, IterableDataset) or not (has_positions or isinstance(data, Examples)):
        raise PruneKitError(
            f"`data` must have a length and give examples by position; got {type(data).__name__}.",
            hint="use a map-style Dataset",
        )
    is_arrays = isinstance(data, (tuple, list))
    if is_arrays:
        data = _arrays(data)
    n = len(data[0]) if is_arrays else len(data)
    positions = kept_positions(kept, n, ids=ids, own_ids=lambda: own_ids(data))
    if isinstance(data, Examples):
        return data.take(positions)
    if is_arrays:
        return type(data)(each[positions] for each in data)
    if is_hugging_face(data):
        return data.select(positions)
    return Subset(data, positions.tolist())


def _arrays(data: tuple[Any, ...] | list[Any]) -> tuple[Any, ...] | list[Any]:
    """The arrays, which rows can be taken of by position: pandas goes by its index."""
    if len(data) not in (2, 3) or not all(hasattr(each, "shape") for each in data):
        raise PruneKitError(
            "arrays must be (inputs, labels) or (inputs, labels, ids).", hint="as for `score`"
        )
    arrays = [as_array(each, "data") for each in data]
    if len({len(each) for each in arrays}) > 1:
        raise PruneKitError(
            f"the arrays must have the same length; got {', '.join(str(len(each)) for each in arrays)}."
        )
    return arrays if isinstance(data, list) else tuple(arrays)


def _loader(loader: DataLoader[Any], kept: Any, ids: Any) -> DataLoader[Any]:
    """A loader of the kept examples with the settings of `loader`."""
    if type(loader) is not DataLoader:
        raise PruneKitError(
            f"`data` must be a plain DataLoader; a {type(loader).__name__} has settings of its own.",
            hint="make a new one of subset(loader.dataset, kept)",
        )
    if isinstance(loader.dataset, IterableDataset):
        raise PruneKitError("`data` streams: it has no positions.", hint="use a map-style Dataset")
    sampler: Any = loader.sampler
    is_usual = (loader.batch_size is None) == (loader.batch_sampler is None)
    if not is_usual or not _takes_each_once(sampler, loader.dataset):
        raise PruneKitError(
            "the DataLoader has a sampler of its own, made for all of the data; got "
            f"{type(sampler if is_usual else loader.batch_sampler).__name__}.",
            hint="make a new one of subset(dataset, kept), or give the DataLoader "
            "sampler=torch.utils.data.SubsetRandomSampler(kept)",
        )
    dataset = subset(loader.dataset, kept, ids=ids)
    shuffles = isinstance(sampler, RandomSampler)
    return DataLoader(
        dataset,
        batch_size=loader.batch_size,
        # With a generator of its own, where it has one.
        sampler=RandomSampler(dataset, generator=sampler.generator) if shuffles else None,
        drop_last=loader.drop_last,
        collate_fn=loader.collate_fn,
        **settings_of(loader),
    )


def _takes_each_once(sampler: Any, dataset: Any) -> bool:
    """Whether it is one that a DataLoader makes from `shuffle`, or does the same."""
    if type(sampler) is RandomSampler:
        return not sampler.replacement and len(sampler) == len(dataset)
    return type(sampler) is SequentialSampler and len(sampler) == len(dataset)
