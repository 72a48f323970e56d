"""Where the kept examples of a data set are, however they are named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch.utils.data import TensorDataset

from prune_kit.arrays import NumpyArray, as_array, to_numpy
from prune_kit.data import Examples
from prune_kit.errors import PruneKitError
from prune_kit.id_index import IdIndex
from prune_kit.ids import check_ids, doubled_ids, some
from prune_kit.subset_file import read_ids
from prune_kit.table import ScoreTable

from .batches import ID_KEYS


def kept_positions(kept: Any, n: int, data: Any, ids: Any) -> npt.NDArray[np.int64]:
    """Positions of the examples that `kept` names among the `n` of `data`, in its order: see `subset`.

    Integers in an array are positions whatever ids `data` has: the call alone says what they mean.
    """
    values, are_ids = _values(kept)
    if not len(values):
        raise PruneKitError("`kept` must name at least one example; got none.")
    if doubled := doubled_ids(values):
        raise PruneKitError(f"`kept` must name each example once; {some(doubled)} occur more than once.")
    if ids is None and are_ids:
        ids = _own_ids(data)
    if ids is not None:
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


def is_hugging_face(data: Any) -> bool:
    """Whether it is a Hugging Face Dataset, by what it offers: their library need not be installed."""
    return hasattr(data, "select") and hasattr(data, "features")


def _own_ids(data: Any) -> Any:
    """The ids that `data` brings, as `as_source` finds them; None where it has none."""
    if isinstance(data, Examples):
        return data.ids
    if isinstance(data, (tuple, list)):
        return data[2] if len(data) == 3 else None
    if isinstance(data, TensorDataset):
        return data.tensors[2] if len(data.tensors) == 3 else None
    if is_hugging_face(data):
        column = next((name for name in ID_KEYS if name in data.column_names), None)
        return None if column is None else data.with_format(None)[column][:]
    example = data[0] if len(data) else None
    if (isinstance(example, (tuple, list)) and len(example) == 3) or (
        isinstance(example, Mapping) and not example.keys().isdisjoint(ID_KEYS)
    ):
        raise PruneKitError(
            f"`kept` holds ids, and each example of the {type(data).__name__} brings its own.",
            hint="give those of all examples: subset(data, kept, ids=table.ids) of the table of all scores",
        )
    return None


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
