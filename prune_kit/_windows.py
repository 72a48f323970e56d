"""A window on the stable ascending order of the scores: over all examples, class by class, or with floors."""

from __future__ import annotations

import numpy as np

from ._floors import check_floors, window_with_floors
from ._selection import between
from .arrays import NumpyArray
from .classes import Positions, apportion, encode_labels, members


def window(
    values: NumpyArray, start: int, size: int, labels: object, at_least: float | None = None
) -> Positions:
    """Return `ascending[start : start + size]`, sorted; with labels, of each class its share or its floor.

    Raises
    ------
    PruneKitError
        If the labels do not fit the values, or `at_least` the labels and the size.
    """
    if labels is None and at_least is None:
        return np.flatnonzero(between(values, start, start + size))
    if at_least is not None:
        codes, floors = check_floors(at_least, labels, values.size, size)
        return window_with_floors(values, start, size, codes, floors)
    return _shares(values, start, size, members(encode_labels(labels, values.size)[1]))


def _shares(values: NumpyArray, start: int, size: int, classes: list[Positions]) -> Positions:
    """Of each class a window of its own.

    The kept examples are shared out before the discarded ones, so that the class counts depend on the
    number kept alone, and an offset of `n - count` is the hardest in each class as well.
    """
    sizes = np.array([len(positions) for positions in classes])
    kept = apportion(size, sizes, sizes)
    starts = apportion(start, sizes, sizes - kept)
    chosen = [
        positions[between(values[positions], begin, begin + share)]
        for positions, begin, share in zip(classes, starts.tolist(), kept.tolist(), strict=True)
    ]
    return np.sort(np.concatenate(chosen))
