"""What names the examples: integers or strings, each once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrays import NumpyArray, as_array, to_numpy
from .errors import PruneKitError


def check_ids(ids: object, n: int | None = None, /, *, name: str = "ids") -> NumpyArray:
    """Return `ids` as NumPy, int64 or strings.

    Raises
    ------
    PruneKitError
        Unless `ids` are one-dimensional, `n` of them (any number if None), integers or strings, and no
        id occurs twice; doubled ids are named.
    """
    values = to_numpy(as_array(ids, name))
    if values.ndim != 1 or (n is not None and values.size != n):
        raise PruneKitError(
            f"`{name}` must have shape ({'n' if n is None else n},), one per example; got {values.shape}.",
            hint="give the ids of all examples, in the order of the other arrays",
        )
    if values.size == 0:  # an empty list has no type of its own
        return np.empty(0, dtype=np.int64)
    if values.dtype.kind == "O" and all(isinstance(value, str) for value in values):
        values = values.astype(str)
    if values.dtype.kind not in "iuUT":
        raise PruneKitError(
            f"`{name}` must be integers or strings; got dtype {values.dtype}.",
            hint="an id is a position in the data set or a file's name, and is never missing",
        )
    if values.dtype.kind in "iu":
        if values.dtype.kind == "u" and values.size and values.max() > np.iinfo(np.int64).max:
            raise PruneKitError(f"`{name}` must fit into int64; got {values.max()}.", hint="use strings")
        values = values.astype(np.int64, copy=False)
    if doubled := doubled_ids(values):
        raise PruneKitError(
            f"`{name}` must name each example once; {some(doubled)} occur more than once.",
            hint="an id twice often comes from a sampler that pads the last batch, or from a file read twice",
        )
    return values


def doubled_ids(ids: NumpyArray) -> list[int | str]:
    """Return the ids that occur more than once, ascending."""
    if ids.dtype.kind in "iu" and bool(np.all(ids[:-1] < ids[1:])):  # the usual case, without a sort
        return []
    unique, counts = np.unique(ids, return_counts=True)
    return list(unique[counts > 1].tolist())


def some(names: Sequence[int | str], most: int = 5) -> str:
    """Write out the first of `names`, and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
