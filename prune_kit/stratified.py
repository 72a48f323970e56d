"""Keep examples of every difficulty: a budget shared out over strata of the scores."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import numpy.typing as npt

from ._floors import check_floors, window_with_floors
from ._selection import answer, as_scores, check_selection_seed, lowest
from .arrays import Array, NumpyArray
from .checks import subset_size
from .classes import Positions, apportion, encode_labels, members
from .errors import PruneKitError


def keep_stratified(
    scores: object,
    /,
    *,
    fraction: float | None = None,
    count: int | None = None,
    prune_hardest: float = 0.0,
    strata: int = 50,
    seed: int,
    labels: object = None,
    at_least: float | None = None,
    ids: object = None,
) -> Array:
    """Keep about as many examples of each stratum of scores: coverage, where little is kept.

    The hardest `prune_hardest` are left out (wrong labels gather there), the range of the other scores is
    cut into `strata` intervals of equal width, and from each an equal budget is drawn at random. A stratum
    with fewer examples gives all it has, and hands what is left of its budget on to the larger ones.

    Where much is pruned, the hardest examples alone leave out most of the distribution and train worse than
    a random subset; this way of choosing does not (Zheng et al. 2023: from a pruning rate of 70% on).

    Parameters
    ----------
    scores
        Shape (n,), real, no NaN: one score per example, higher is harder. Infinity is a score; it lies in
        the uppermost stratum.
    fraction, count
        How much is kept, as in `keep_hardest`.
    prune_hardest
        A float in [0, 1): the fraction of all examples, the hardest, that is left out first; an integer: how
        many of them. The paper's authors choose it by pruning rate, from 0 to .3 (or more with wrong labels).
    strata
        How many intervals, at least 1. Empty ones have no budget.
    seed
        Of the draw, 0 or more.
    labels
        Shape (n,), integers or strings. If given, the budget and the examples left out are shared among the
        classes in proportion to their sizes (largest remainder), and each class is stratified by itself.
    at_least
        With `labels`, in place of such shares: how much every class keeps at the least, a number or a
        fraction as in `keep_hardest`. So many of each class are drawn first, stratified by themselves, then
        the rest from all others. Of the hardest, so many stay among those that can be drawn.
    ids
        As in `keep_hardest`.

    Returns
    -------
    array of shape (k,)
        As in `keep_hardest`: exactly `count` examples, ascending positions or their ids.

    Raises
    ------
    PruneKitError
        As in `keep_hardest`; if `strata` or `seed` is out of range, or if what is kept and what is left out
        are more than there are examples.

    References
    ----------
    Zheng, Liu, Lai, Prakash: Coverage-centric Coreset Selection for High Pruning Rates, ICLR 2023,
    Algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> keep_stratified(np.array([0.0, 0.1, 0.2, 0.9, 1.0, 5.0]), count=2, prune_hardest=1, strata=2, seed=0)
    array([2, 4])
    """
    reference, values = as_scores(scores)
    size = subset_size(values.size, fraction, count)
    left_out = _left_out(prune_hardest, values.size, size)
    check_selection_seed(seed)
    if not isinstance(strata, Integral) or isinstance(strata, bool) or strata < 1:
        raise PruneKitError(f"`strata` must be a whole number of 1 or more; got {strata!r}.")
    rng = np.random.default_rng(int(seed))
    if at_least is not None:
        codes, floors = check_floors(at_least, labels, values.size, size)
        kept = _with_floors(values, size, left_out, int(strata), rng, codes, floors)
    elif labels is None:
        kept = _stratified(values, size, left_out, int(strata), rng)
    else:
        classes = members(encode_labels(labels, values.size)[1])
        sizes = np.array([len(positions) for positions in classes])
        shares = apportion(size, sizes, sizes)
        outs = apportion(left_out, sizes, sizes - shares)
        kept = np.concatenate(
            [
                positions[_stratified(values[positions], share, out, int(strata), rng)]
                for positions, share, out in zip(classes, shares.tolist(), outs.tolist(), strict=True)
            ]
        )
    return answer(np.sort(kept), reference, values.size, ids)


def _left_out(prune_hardest: float, n: int, size: int) -> int:
    """How many of the hardest `prune_hardest` leaves out: itself, or `round(prune_hardest * n)`."""
    is_count = isinstance(prune_hardest, Integral)
    if (
        isinstance(prune_hardest, bool)
        or not isinstance(prune_hardest, Real)
        or not prune_hardest >= 0
        or (not is_count and prune_hardest >= 1)
    ):
        raise PruneKitError(
            "`prune_hardest` must be a number of examples (an integer, 0 or more) or a fraction (a float in "
            f"[0, 1)); got {prune_hardest!r}."
        )
    left_out = int(prune_hardest) if is_count else round(float(prune_hardest) * n)
    if left_out + size > n:
        raise PruneKitError(
            f"`prune_hardest` and the number kept must not be more than the {n} examples together; "
            f"got {left_out} + {size} = {left_out + size}.",
            hint=f"with this many left out at most {max(n - left_out, 0)} can be kept",
        )
    return left_out


def _stratified(
    values: NumpyArray, size: int, left_out: int, strata: int, rng: np.random.Generator
) -> Positions:
    candidates = np.flatnonzero(lowest(values, values.size - left_out))
    if size == 0 or candidates.size == 0:
        return candidates[:0]
    stratum = _strata(values[candidates], strata)
    sizes = np.bincount(stratum, minlength=strata)
    budgets = _budgets(size, sizes)
    # A random order of all, stable by stratum: the first of each stratum are a random draw from it.
    shuffled = rng.permutation(candidates.size)
    shuffled = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    place = np.arange(candidates.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return candidates[shuffled[place < np.repeat(budgets, sizes)]]


def _with_floors(
    values: NumpyArray,
    size: int,
    left_out: int,
    strata: int,
    rng: np.random.Generator,
    codes: Positions,
    floors: Positions,
) -> Positions:
    candidates = window_with_floors(values, 0, values.size - left_out, codes, floors)
    # Classes after the last that has a candidate have no floor.
    classes = [candidates[places] for places in members(codes[candidates])]
    first = [
        positions[_stratified(values[positions], floor, 0, strata, rng)]
        for positions, floor in zip(classes, floors.tolist(), strict=False)
    ]
    others = np.setdiff1d(candidates, np.concatenate(first), assume_unique=True)
    rest = others[_stratified(values[others], size - int(floors.sum()), 0, strata, rng)]
    return np.concatenate([*first, rest])


def _strata(values: NumpyArray, strata: int) -> npt.NDArray[np.int64]:
    """Which of `strata` intervals of equal width each value lies in."""
    wide = values.astype(np.float64)
    finite = np.isfinite(wide)
    if not finite.any():
        return np.zeros(wide.size, np.int64)
    low, high = wide[finite].min(), wide[finite].max()
    if low == high:
        return np.where(finite, np.int64(0), np.int64(strata - 1))
    # Halves, for the difference of two large values may be infinite.
    place = (wide / 2 - low / 2) / (high / 2 - low / 2) * strata
    return np.asarray(np.minimum(place, strata - 1), np.int64)


def _budgets(size: int, sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Equal budgets that add up to `size`, each within its stratum: from the smallest stratum on."""
    budgets = np.zeros_like(sizes)
    waiting = int(np.count_nonzero(sizes))
    for place in np.argsort(sizes, kind="stable").tolist():
        if sizes[place]:
            budgets[place] = min(int(sizes[place]), size // waiting)
            size -= int(budgets[place])
            waiting -= 1
    return budgets
