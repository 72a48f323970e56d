"""Scores summarised for the eye: pages hold bins, medians and quantiles, not a point per example."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arrays import NumpyArray
from ..classes import Positions, members
from ..histogram import bin_edges

BINS = 40
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
RANK_BINS = 30


class ClassHistogram(NamedTuple):
    """Counts of finite scores in bins of equal width, class by class."""

    edges: NumpyArray
    """Shape (bins + 1,), float64, ascending."""
    counts: NumpyArray
    """Shape (classes, bins), int64: the last bin has its upper edge too, as in `numpy.histogram`."""
    infinite: NumpyArray
    """Shape (classes,), int64: scores that are infinite, which no bin has."""


def class_histogram(
    scores: NumpyArray, codes: Positions, num_classes: int, /, *, bins: int = BINS
) -> ClassHistogram:
    """Count scores (n,) in the bins of `prune_kit.histogram.bin_edges`, class by class."""
    edges = bin_edges([scores], bins)
    is_finite = np.isfinite(scores)
    values = scores[is_finite].astype(np.float64)
    infinite = np.bincount(codes[~is_finite], minlength=num_classes)
    which = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    flat = np.bincount(codes[is_finite] * (len(edges) - 1) + which, minlength=num_classes * (len(edges) - 1))
    return ClassHistogram(edges, flat.reshape(num_classes, -1), infinite)


def quantiles(scores: NumpyArray, /) -> list[float]:
    """The `QUANTILES` of scores (n,), each one of them: there is nothing between a number and infinity."""
    return [float(value) for value in np.quantile(scores, QUANTILES, method="nearest")]


def medians_by_class(scores: NumpyArray, codes: Positions, num_classes: int, /) -> list[float]:
    """The median score of each class, one of its scores; NaN of a class without examples."""
    medians = [float("nan")] * num_classes
    for code, positions in enumerate(members(codes)):
        if len(positions):
            medians[code] = float(np.quantile(scores[positions], 0.5, method="nearest"))
    return medians


class RankDensity(NamedTuple):
    """How two scores order the same examples."""

    counts: NumpyArray
    """Shape (bins, bins), int64: [i, j] are in the i-th part of the ranks by the first score, the j-th by
    the second."""
    correlation: float | None
    """Spearman's; None where a score is the same for all."""


def rank_density(first: NumpyArray, second: NumpyArray, /, *, bins: int = RANK_BINS) -> RankDensity:
    """Count examples in equal parts of the ranks by two scores (n,); equal scores share their mean rank."""
    from scipy import stats  # takes a second to import

    n = len(first)
    ranks = [stats.rankdata(scores) for scores in (first, second)]
    parts = [np.minimum(((rank - 0.5) * bins / n).astype(np.int64), bins - 1) for rank in ranks]
    counts = np.bincount(parts[0] * bins + parts[1], minlength=bins * bins).reshape(bins, bins)
    if any(np.ptp(rank) == 0 for rank in ranks):
        return RankDensity(counts, None)
    return RankDensity(counts, float(np.atleast_2d(np.corrcoef(ranks))[0, 1]))
