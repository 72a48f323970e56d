"""Examples by class: who is in which, how a budget is shared among classes, how many of each are kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .arrays import NumpyArray, as_array, to_numpy
from .errors import PruneKitError

Positions = npt.NDArray[np.int64]


class ClassCount(NamedTuple):
    """How many examples of one class there were, and how many of them are kept."""

    label: int | str
    before: int
    kept: int


def class_counts(labels: object, kept: object = None, /) -> list[ClassCount]:
    """Count the examples of each class, all of them and the kept ones.

    Parameters
    ----------
    labels
        Shape (n,), integers or strings: the class of each example.
    kept
        Positions of the kept examples, as the `keep_` functions return them; all examples if not given.

    Returns
    -------
    list of ClassCount
        `(label, before, kept)` for each class that occurs in `labels`, in ascending order. A class that
        was pruned away altogether is there with 0 kept.

    Raises
    ------
    PruneKitError
        If `labels` are not one-dimensional integers or strings, or `kept` are not distinct positions in them.

    Examples
    --------
    >>> class_counts(["cat", "dog", "cat"], [0, 2])
    [ClassCount(label='cat', before=2, kept=2), ClassCount(label='dog', before=1, kept=0)]
    """
    classes, codes = encode_labels(labels)
    before = np.bincount(codes, minlength=len(classes))
    after = (
        before if kept is None else np.bincount(codes[_positions(kept, codes.size)], minlength=len(classes))
    )
    return [
        ClassCount(name, int(b), int(a)) for name, b, a in zip(classes.tolist(), before, after, strict=True)
    ]


def encode_labels(labels: object, n: int | None = None) -> tuple[NumpyArray, Positions]:
    """Return the classes that occur, ascending, and for each example the index of its class in them.

    Raises
    ------
    PruneKitError
        Unless `labels` are `n` (any number above 0 if None) integers or strings.
    """
    values = to_numpy(as_array(labels, "labels"))
    if values.ndim != 1 or values.size == 0 or (n is not None and values.size != n):
        raise PruneKitError(
            f"`labels` must have shape ({'n' if n is None else n},), one per example; got {values.shape}.",
            hint="turn one-hot or soft labels into class indices with labels.argmax(axis=1)"
            if values.ndim == 2
            else None,
        )
    if values.dtype.kind == "O" and all(isinstance(value, str) for value in values):
        values = values.astype(str)
    if values.dtype.kind not in "biuUT":
        raise PruneKitError(
            f"`labels` must be integers or strings; got dtype {values.dtype}.",
            hint="labels without missing values can be converted, for example with labels.astype(int)",
        )
    classes, codes = np.unique(values, return_inverse=True)
    return classes, codes.astype(np.int64, copy=False)


def members(codes: Positions) -> list[Positions]:
    """Return, for each class, the ascending positions of its examples."""
    ends = np.cumsum(np.bincount(codes))
    return np.split(np.argsort(codes, kind="stable"), ends[:-1])


def apportion(total: int, sizes: Positions, room: Positions) -> Positions:
    """Share `total` among classes in proportion to `sizes`, by largest remainder (ties: first class first).

    No class gets more than its `room`; what it cannot take flows on to the others, largest remainder
    first. The shares add up to `total` exactly, for any `total <= room.sum()`.
    """
    n = int(sizes.sum())
    quotas, remainders = np.divmod(total * sizes, n)
    shares = np.minimum(quotas, room)
    by_remainder = np.argsort(-remainders, kind="stable")
    while (left := total - int(shares.sum())) > 0:
        takers = by_remainder[(shares < room)[by_remainder]][:left]
        shares[takers] += 1
    return np.asarray(shares, dtype=np.int64)


def _positions(kept: object, n: int) -> Positions:
    positions = to_numpy(as_array(kept, "kept"))
    if positions.size == 0:
        return np.empty(0, dtype=np.int64)
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        raise PruneKitError(
            f"`kept` must be positions, integers of shape (k,); got shape {positions.shape}, "
            f"dtype {positions.dtype}.",
            hint="turn a mask into positions with numpy.flatnonzero(mask)",
        )
    if positions.min() < 0 or positions.max() >= n:
        raise PruneKitError(
            f"`kept` must be positions from 0 to {n - 1}; got {positions.min()} to {positions.max()}.",
            hint="ids are not positions: give the positions of the kept ids",
        )
    if np.unique(positions).size != positions.size:
        raise PruneKitError(
            f"`kept` must name each position once; {positions.size} positions name some twice."
        )
    return positions.astype(np.int64, copy=False)
