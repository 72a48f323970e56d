"""How many scores lie in which interval: the one way of counting behind pictures, tables and text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .arrays import NumpyArray


class Histogram(NamedTuple):
    """Counts of values in intervals of equal width."""

    edges: NumpyArray
    """Shape (bins + 1,), float64, ascending; the last interval holds both of its edges."""
    counts: NumpyArray
    """Shape (bins,), int64."""
    infinite: int
    """How many values are infinite, such as forgetting scores of examples that were never learned."""
    missing: int
    """How many values are NaN."""


def histogram(values: NumpyArray, /, *, bins: int) -> Histogram:
    """Count the values in up to `bins` intervals of equal width, from the lowest finite one to the highest.

    Parameters
    ----------
    values
        Shape (n,), numbers.
    bins
        How many intervals, 1 or more; of few whole numbers one per number.

    Examples
    --------
    >>> import numpy as np
    >>> histogram(np.array([0.0, 0.1, 1.0, np.inf]), bins=2).counts
    array([2, 1])
    """
    finite = values[np.isfinite(values)]
    edges = bin_edges([finite], bins)
    return Histogram(
        edges=edges,
        counts=np.histogram(finite.astype(np.float64), edges)[0],
        infinite=int(np.isinf(values).sum()),
        missing=int(np.isnan(values).sum()),
    )


def bin_edges(columns: Sequence[NumpyArray], bins: int) -> NumpyArray:
    """Edges of up to `bins` intervals of equal width that hold every finite value of the columns.

    Whole numbers, where there are no more of them than `bins`, lie in the middle of an interval each.
    """
    values = np.concatenate([column[np.isfinite(column)] for column in columns]).astype(np.float64)
    if not len(values):
        return np.linspace(0, 1, bins + 1)
    low, high = float(values.min()), float(values.max())
    if high - low < bins and np.array_equal(values, np.round(values)):
        return np.arange(low - 0.5, high + 1)
    return np.histogram_bin_edges(values, bins, (low, high))
