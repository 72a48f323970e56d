"""Where the kept examples of a data set are, however they are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .arrays import NumpyArray, as_array, to_numpy
from .errors import PruneKitError
from .id_index import IdIndex
from .ids import check_ids, doubled_ids, some
from .subset_file import read_ids
from .table import ScoreTable


def kept_positions(kept: Any, n: int, *, ids: Any, own_ids: Callable[[], Any]) -> npt.NDArray[np.int64]:
    """Positions of the examples that `kept` names among `n`, in its order: see `subset` of the adapters.

    Integers in an array are positions whatever ids the data has: the call alone says what they mean.

    Parameters
    ----------
    kept
        Positions or ids, a file of ids, or a `ScoreTable`.
    n
        How many examples the data has.
    ids
        The ids of all of them, by which `kept` is looked up; None where the caller gave none.
    own_ids
        Gives the ids that the data brings, or None; called where `kept` holds ids.

    Raises
    ------
    PruneKitError
        If `kept` is empty, names an example twice or one that is not there, or is of no such kind.
    """
    values, are_ids = _values(kept)
    if not len(values):
        raise PruneKitError("`kept` must name at least one example; got none.")
    if doubled := doubled_ids(values):
        raise PruneKitError(f"`kept` must name each example once; {some(doubled)} occur more than once.")
    if ids is None and are_ids:
        ids = own_ids()
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
