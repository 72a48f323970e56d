"""The kept examples of a data set, as the same kind of data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
)

from prune_kit.arrays import NumpyArray, as_array, to_numpy
from prune_kit.data import Examples
from prune_kit.errors import PruneKitError
from prune_kit.id_index import IdIndex
from prune_kit.ids import check_ids, doubled_ids, some
from prune_kit.subset_file import read_ids
from prune_kit.table import ScoreTable

from .loader_settings import settings_of

_ID_COLUMN = "id"


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
        The ids of all examples of `data`, by which `kept` is looked up. By default its own: those of
        `Examples`, the third array, a column "id"; where it has none, ids are positions.

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
        integers; if `data` streams, or is a DataLoader with a sampler of the user's own.

    Examples
    --------
    >>> import torch
    >>> data = torch.utils.data.TensorDataset(torch.arange(10))
    >>> [int(x) for (x,) in subset(data, [2, 5, 7])]
    [2, 5, 7]
    """
    if isinstance(data, DataLoader):
        return _loader(data, subset(data.dataset, kept, ids=ids))
    has_positions = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    if isinstance(data, IterableDataset) or not (has_positions or isinstance(data, Examples)):
        raise PruneKitError(
            f"`data` must have a length and give examples by position; got {type(data).__name__}.",
            hint="use a map-style Dataset",
        )
    is_arrays = isinstance(data, (tuple, list))
    if is_arrays and not (len(data) in (2, 3) and all(hasattr(each, "shape") for each in data)):
        raise PruneKitError(
            "arrays must be (inputs, labels) or (inputs, labels, ids).", hint="as for `score`"
        )
    n = len(data[0]) if is_arrays else len(data)
    positions = _positions(kept, n, _own_ids(data) if ids is None else ids, named=ids is not None)
    if isinstance(data, Examples):
        return data.take(positions)
    if is_arrays:
        return type(data)(each[positions] for each in data)
    if hasattr(data, "select") and hasattr(data, "features"):  # Hugging Face's, which need not be installed
        return data.select(positions)
    return Subset(data, positions.tolist())


def _own_ids(data: Any) -> Any:
    """The ids that `data` brings; None where it has none."""
    if isinstance(data, Examples):
        return data.ids
    if isinstance(data, (tuple, list)):
        return data[2] if len(data) == 3 else None
    if _ID_COLUMN in (getattr(data, "column_names", None) or ()):
        return data[_ID_COLUMN][:]
    return None


def _positions(kept: Any, n: int, ids: Any, *, named: bool) -> npt.NDArray[np.int64]:
    values, are_ids = _values(kept)
    if not len(values):
        raise PruneKitError("`kept` must name at least one example; got none.")
    if doubled := doubled_ids(values):
        raise PruneKitError(f"`kept` must name each example once; {some(doubled)} occur more than once.")
    if (are_ids or named) and ids is not None:
        return IdIndex(check_ids(ids, n)).positions(values, where="the data")
    if values.dtype.kind != "i":
        raise PruneKitError(
            f"`kept` holds ids that are strings ({some(values[:2].tolist())}), and the data has no ids.",
            hint="give the ids of all its examples: subset(data, kept, ids=...)",
        )
    wrong = values[(values < 0) | (values >= n)]
    if len(wrong):
        raise PruneKitError(
            f"`kept` must be from 0 to {n - 1}, the positions of the {n} examples; "
            f"got {some(wrong.tolist())}.",
            hint="are these of other data? Ids are looked up with subset(data, kept, ids=...)",
        )
    return values


def _values(kept: Any) -> tuple[NumpyArray, bool]:
    """What `kept` holds, int64 or strings, and whether it says ids by itself."""
    if isinstance(kept, ScoreTable):
        return kept.ids, True
    if isinstance(kept, (str, Path)):
        return read_ids(kept), True
    values = to_numpy(as_array(kept, "kept"))
    if values.ndim != 1 or (values.size and values.dtype.kind not in "iuUT"):
        raise PruneKitError(
            f"`kept` must be positions or ids, shape (k,); got {values.dtype} of shape {values.shape}.",
            hint="numpy.flatnonzero(mask) gives the positions of a mask" if values.dtype == bool else None,
        )
    return (values, True) if values.dtype.kind in "UT" else (values.astype(np.int64), False)


def _loader(loader: DataLoader[Any], dataset: Any) -> DataLoader[Any]:
    """A loader of `dataset` with the settings of `loader`."""
    if isinstance(loader.dataset, IterableDataset):
        raise PruneKitError("`data` streams: it has no positions.", hint="use a map-style Dataset")
    samplers = (SequentialSampler, RandomSampler)
    is_usual = loader.batch_sampler is None or type(loader.batch_sampler) is BatchSampler
    if not is_usual or type(loader.sampler) not in samplers:
        raise PruneKitError(
            "the DataLoader has a sampler of its own, made for all of the data; got "
            f"{type(loader.sampler if is_usual else loader.batch_sampler).__name__}.",
            hint="make a new one of subset(dataset, kept), or give the DataLoader "
            "sampler=torch.utils.data.SubsetRandomSampler(kept)",
        )
    return DataLoader(
        dataset,
        batch_size=loader.batch_size,
        shuffle=isinstance(loader.sampler, RandomSampler),
        drop_last=loader.drop_last,
        collate_fn=loader.collate_fn,
        **settings_of(loader),
    )
