"""No class below its floor: what must be kept of each, and the window on the scores that comes closest."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np

from ._selection import Mask
from .arrays import NumpyArray
from .classes import Positions, encode_labels
from .errors import PruneKitError


def check_floors(at_least: float, labels: object, n: int, size: int) -> tuple[Positions, Positions]:
    """Return each example's class by index, and how many of each class must be kept.

    A class with fewer examples than a number `at_least` must be kept whole. A fraction of a class is rounded
    down, so that the floors of a fraction up to that which is kept fit; but to one example at the least.

    Raises
    ------
    PruneKitError
        If `at_least` is neither a number nor a fraction, there are no labels or they do not fit, or all
        floors together are more than the `size` to be kept.
    """
    is_count = isinstance(at_least, Integral)
    if (
        isinstance(at_least, bool)
        or not isinstance(at_least, Real)
        or not at_least >= 0
        or (not is_count and at_least > 1)
    ):
        raise PruneKitError(
            "`at_least` must be a number of examples of each class (an integer, 0 or more) or a fraction of "
            f"each class (a float from 0 to 1); got {at_least!r}."
        )
    if labels is None:
        raise PruneKitError(
            f"`at_least` is what each class keeps, and needs `labels`; got at_least={at_least!r} alone.",
            hint="give the class of each example: labels=...",
        )
    codes = encode_labels(labels, n)[1]
    sizes = np.bincount(codes)
    if is_count:
        floors = np.minimum(sizes, int(at_least))
    else:  # 0.29 of 100 is 29, whatever floating point makes of it
        floors = np.floor(float(at_least) * sizes + 1e-9).astype(np.int64)
        floors = np.maximum(floors, int(at_least > 0))
    if floors.sum() > size:
        raise PruneKitError(
            f"`at_least` {at_least!r} of each of {len(sizes)} classes is {floors.sum()} examples, more than "
            f"the {size} that are kept.",
            hint="keep more, or at least fewer of each class",
        )
    return codes, np.asarray(floors, dtype=np.int64)


def window_with_floors(
    values: NumpyArray, start: int, size: int, codes: Positions, floors: Positions
) -> Positions:
    """Return the window `ascending[start : start + size]`, changed so that no class is below its floor.

    A class that lacks examples in the window takes those that are nearest to it in the order, of two as near
    the lower. Each takes the place of an example on its own side of the window: below it the lowest of a
    class that can spare one, above it the highest. So the hardest with floors are each class's hardest up
    to its floor, and then the hardest of all others; the easiest likewise.
    """
    order = np.argsort(values, kind="stable")
    classes = codes[order]
    inside = np.arange(start, start + size)
    kept_of = np.bincount(classes[inside], minlength=len(floors))
    outside = np.concatenate([np.arange(start), np.arange(start + size, order.size)])
    distance = np.maximum(start - outside, outside - (start + size - 1))
    nearest = outside[np.argsort(distance, kind="stable")]
    added = nearest[_first_of_each(classes[nearest], np.maximum(floors - kept_of, 0), len(nearest))]
    spare = np.maximum(kept_of - floors, 0)
    below = int(np.count_nonzero(added < start))
    lowest = inside[_first_of_each(classes[inside], spare, below)]
    spare -= np.bincount(classes[lowest], minlength=len(floors))
    downwards = np.setdiff1d(inside, lowest, assume_unique=True)[::-1]
    highest = downwards[_first_of_each(classes[downwards], spare, len(added) - below)]
    kept = np.setdiff1d(downwards, highest, assume_unique=True)
    return np.sort(order[np.concatenate([kept, added])])


def _first_of_each(codes: Positions, most: Positions, count: int) -> Mask:
    """Mark the first `count` of those that are among the first `most[c]` of their class c."""
    by_class = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes, minlength=len(most))
    place = np.empty(codes.size, np.int64)
    place[by_class] = np.arange(codes.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    mask = place < most[codes]
    mask[np.flatnonzero(mask)[count:]] = False
    return np.asarray(mask)
