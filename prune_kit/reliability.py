"""Are there enough seeds: how far the mean over these would agree with the mean over others."""

from __future__ import annotations

import math
from itertools import combinations
from numbers import Real

import numpy as np

from .aggregate import mean_over_seeds, rank_agreement
from .arrays import as_array, to_numpy
from .errors import PruneKitError
from .select import keep_hardest

RELIABLE = 0.95
"""From this reliability on, other seeds change little."""

STABLE_OVERLAP = 0.75
"""Below this overlap of the hardest halves, half-way between chance and the same, the subset may change."""


def mean_rank_agreement(scores: object, /) -> float:
    """Mean Spearman correlation between the pairs of seeds.

    Parameters
    ----------
    scores
        Shape (seeds, n), two seeds or more, as in `rank_agreement`.

    Returns
    -------
    float
        In [-1, 1]; 1 is the same order of all examples in every seed. NaN where a seed gives all examples
        the same score.

    Raises
    ------
    PruneKitError
        As in `rank_agreement`, and if there is one seed only.

    Examples
    --------
    >>> import numpy as np
    >>> round(mean_rank_agreement(np.array([[0.1, 0.2, 0.3, 0.4], [1.0, 3.0, 2.0, 4.0]])), 6)
    0.8
    """
    matrix = to_numpy(rank_agreement(scores))
    if len(matrix) < 2:
        raise PruneKitError(
            "agreement is between seeds, and needs two or more; got one.",
            hint="score with another seed; how far one seed can be trusted shows in no other way",
        )
    return float(np.mean(matrix[np.triu_indices(len(matrix), k=1)], dtype=np.float64))


def reliability(scores: object, /) -> float:
    """Estimate how far the mean over these seeds agrees with the mean over as many other seeds.

    With k seeds whose mean rank agreement is r it is ``k r / (1 + (k - 1) r)`` (Spearman-Brown). Its square
    root estimates the correlation with the scores that infinitely many seeds would give.

    Parameters
    ----------
    scores
        Shape (seeds, n), two seeds or more, as in `rank_agreement`.

    Returns
    -------
    float
        In [0, 1], higher is better: 1 where all seeds agree, 0 where they agree no more than by chance. NaN
        where a seed gives all examples the same score. The formula is of ordinary correlations, and meets
        the mean of ranks; the mean of scores as skewed as EL2N agrees somewhat less (on digits by .02 to
        .06, by .08 after one epoch).

    Raises
    ------
    PruneKitError
        As in `mean_rank_agreement`.

    References
    ----------
    Spearman: Correlation calculated from faulty data, 1910; Brown: Some experimental results in the
    correlation of mental abilities, 1910 (both British Journal of Psychology 3).

    Examples
    --------
    >>> import numpy as np
    >>> round(reliability(np.array([[0.1, 0.2, 0.3, 0.4], [1.0, 3.0, 2.0, 4.0]])), 6)
    0.888889
    """
    matrix = as_array(scores, "scores")
    return spearman_brown(mean_rank_agreement(matrix), matrix.shape[0])


def seeds_needed(scores: object, /, *, target: float = 0.95) -> int:
    """Estimate how many seeds in all give a mean of reliability `target`.

    Parameters
    ----------
    scores
        Shape (seeds, n), two seeds or more, as in `rank_agreement`: the seeds that there are.
    target
        The reliability asked for, above 0 and below 1.

    Returns
    -------
    int
        At least 1. More or fewer than there are seeds already.

    Raises
    ------
    PruneKitError
        As in `mean_rank_agreement`; if `target` is out of range; if the seeds agree no more than by chance,
        so that no number of seeds would be enough.

    Examples
    --------
    >>> import numpy as np
    >>> seeds_needed(np.array([[0.1, 0.2, 0.3, 0.4], [1.0, 3.0, 2.0, 4.0]]), target=0.95)
    5
    """
    if not isinstance(target, Real) or isinstance(target, bool) or not 0 < target < 1:
        raise PruneKitError(f"`target` must be a number above 0 and below 1; got {target!r}.")
    agreement = mean_rank_agreement(scores)
    if not agreement > 0:
        raise PruneKitError(
            f"the seeds must agree more than by chance; their mean rank agreement is {agreement:.3f}.",
            hint="scores may be taken too early: no number of seeds mends that; score at a later epoch",
        )
    return seeds_for(agreement, float(target))


def half_overlap(scores: object, /, *, fraction: float = 0.5) -> float:
    """How much of the hardest `fraction` two halves of the seeds have in common.

    Parameters
    ----------
    scores
        Shape (seeds, n), two seeds or more, as in `rank_agreement`.
    fraction
        How much each half keeps of its hardest, by its mean score; above 0 and at most 1.

    Returns
    -------
    float
        In [0, 1]: the mean over splits of the seeds into two halves (all splits up to six seeds, else twenty
        at random, always the same; of an odd number one seed is left out) of the share of kept examples that
        both keep. 1 is the same subset; chance gives `fraction`. The subset by all seeds changes less than
        that between halves, for it rests on twice as many.

    Raises
    ------
    PruneKitError
        As in `rank_agreement`, if there is one seed only, or `fraction` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> half_overlap(np.array([[0.1, 0.2, 0.3, 0.4], [1.0, 3.0, 2.0, 4.0]]))
    0.5
    """
    matrix = to_numpy(as_array(scores, "scores"))
    if matrix.ndim == 2 and matrix.shape[0] < 2:
        raise PruneKitError("halves of the seeds need two seeds or more; got one.")
    shares = []
    for first, second in _halves(matrix.shape[0]):
        kept = [keep_hardest(mean_over_seeds(matrix[half]), fraction=fraction) for half in (first, second)]
        if not kept[0].size:
            raise PruneKitError(f"`fraction` must keep at least one example; got {fraction!r}.")
        shares.append(np.intersect1d(kept[0], kept[1], assume_unique=True).size / kept[0].size)
    return float(np.mean(shares))


def _halves(seeds: int) -> list[tuple[list[int], list[int]]]:
    """Splits of the seeds into two halves of equal size."""
    half = seeds // 2
    if seeds <= 6:
        splits = [
            (first, second)
            for first in combinations(range(seeds), half)
            for second in combinations(sorted(set(range(seeds)) - set(first)), half)
            if first < second
        ]
    else:
        rng = np.random.default_rng(0)
        orders = [rng.permutation(seeds).tolist() for _ in range(20)]
        splits = [(tuple(order[:half]), tuple(order[half : 2 * half])) for order in orders]
    return [(list(first), list(second)) for first, second in splits]


def seeds_for(agreement: float, target: float) -> int:
    """How many seeds give a mean of reliability `target`, if pairs of them agree by `agreement`, above 0."""
    if agreement >= 1:
        return 1
    needed = target * (1 - agreement) / (agreement * (1 - target))
    # Rounding must not ask for one more seed where the formula is met exactly.
    return max(1, math.ceil(needed * (1 - 1e-12)))


def spearman_brown(agreement: float, seeds: float) -> float:
    """Reliability of a mean over `seeds` seeds whose mean pairwise correlation is `agreement`."""
    if math.isnan(agreement) or agreement >= 1:
        return agreement
    return seeds * agreement / (1 + (seeds - 1) * agreement) if agreement > 0 else 0.0
