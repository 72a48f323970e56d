"""Which examples to keep: a window on the stable ascending order of the scores, exactly as large as asked."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np

from ._selection import answer, as_scores, check_selection_seed
from ._windows import window
from .arrays import Array, NumpyArray
from .checks import subset_size
from .classes import Positions
from .errors import PruneKitError


def keep_hardest(
    scores: object,
    /,
    *,
    fraction: float | None = None,
    count: int | None = None,
    labels: object = None,
    at_least: float | None = None,
    ids: object = None,
) -> Array:
    """Keep the examples with the highest scores.

    The same as `keep_window` with the largest offset there is, `n - count`: of equal scores on the
    border, the later positions are kept.

    Parameters
    ----------
    scores
        Shape (n,), real, no NaN: one score per example, higher is harder. Infinity is a score (an
        example that was never learned).
    fraction, count
        How much is kept, one of both: exactly `count` examples, or `round(fraction * n)`.
    labels
        Shape (n,), integers or strings. If given, the budget is shared among the classes in proportion
        to their sizes (largest remainder), and each class keeps its own hardest examples.
    at_least
        With `labels`, in place of such shares: how much every class keeps at the least, whatever its
        scores. An integer: so many examples, or all that the class has; a float from 0 to 1: this fraction
        of the class, rounded down, but one example at the least. Each class keeps its hardest up to this,
        and the rest are the hardest of all classes.
    ids
        Shape (n,), integers or strings, each once. If given, the result names the kept examples by id.

    Returns
    -------
    array of shape (k,)
        The positions of the kept examples, ascending, int64 (JAX without x64 has only int32); with `ids`
        the ids at these positions, in the order of the positions. In the library and on the device of
        `scores`; ids that are strings come as NumPy. The same subset whichever library it is.

    Raises
    ------
    PruneKitError
        If the scores are not one-dimensional, real and free of NaN, if there are none, if the sizes do
        not fit (what `at_least` asks for among them), or if `labels` or `ids` do not fit the scores.

    References
    ----------
    Paul, Ganguli, Dziugaite: Deep Learning on a Data Diet, NeurIPS 2021, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.array([0.1, 0.9, 0.3, 0.7])
    >>> keep_hardest(scores, fraction=0.5)
    array([1, 3])
    >>> keep_hardest(scores, count=2, labels=["a", "b", "a", "b"], ids=[10, 11, 12, 13])
    array([11, 12])
    >>> keep_hardest(scores, count=2, labels=["a", "b", "a", "b"], at_least=1)
    array([1, 2])
    """
    reference, values = as_scores(scores)
    size = subset_size(values.size, fraction, count)
    return answer(window(values, values.size - size, size, labels, at_least), reference, values.size, ids)


def keep_easiest(
    scores: object,
    /,
    *,
    fraction: float | None = None,
    count: int | None = None,
    labels: object = None,
    at_least: float | None = None,
    ids: object = None,
) -> Array:
    """Keep the examples with the lowest scores.

    The same as `keep_window` with offset 0: of equal scores on the border, the earlier positions are
    kept. Parameters, result and errors are those of `keep_hardest`.

    Examples
    --------
    >>> import numpy as np
    >>> keep_easiest(np.array([0.1, 0.9, 0.3, 0.7]), count=3)
    array([0, 2, 3])
    """
    reference, values = as_scores(scores)
    size = subset_size(values.size, fraction, count)
    return answer(window(values, 0, size, labels, at_least), reference, values.size, ids)


def keep_window(
    scores: object,
    /,
    *,
    offset: float,
    fraction: float | None = None,
    count: int | None = None,
    labels: object = None,
    at_least: float | None = None,
    ids: object = None,
) -> Array:
    """Discard the `offset` lowest-scoring examples, and keep the next lowest.

    With `ascending = argsort(scores)`, stable, the subset is `ascending[offset : offset + count]`. A
    window below the top leaves out the very highest scores, where wrong labels are.

    Parameters
    ----------
    offset
        An integer: how many of the lowest-scoring examples are discarded. A float in [0, 1): which
        fraction of them, `round(offset * n)` (one less where both roundings together would pass the end).
        With `labels` alone the offset is shared among the classes as the kept examples are, within what
        each class has left.
    at_least
        As in `keep_hardest`. A class with fewer examples in the window takes in those next to it, in place
        of examples at the same end of the window of classes that can spare them.
    scores, fraction, count, labels, ids
        As in `keep_hardest`.

    Returns
    -------
    array of shape (k,)
        As in `keep_hardest`.

    Raises
    ------
    PruneKitError
        As in `keep_hardest`, and if `offset` and the size together are more than there are examples.

    References
    ----------
    Paul, Ganguli, Dziugaite: Deep Learning on a Data Diet, NeurIPS 2021, Figure 2.

    Examples
    --------
    >>> import numpy as np
    >>> keep_window(np.array([0.1, 0.9, 0.3, 0.7]), offset=1, count=2)
    array([2, 3])
    """
    reference, values = as_scores(scores)
    size = subset_size(values.size, fraction, count)
    start = _offset_size(offset, values.size, size, fraction)
    return answer(window(values, start, size, labels, at_least), reference, values.size, ids)


def keep_random(
    n: int,
    /,
    *,
    fraction: float | None = None,
    count: int | None = None,
    seed: int,
    labels: object = None,
    at_least: float | None = None,
) -> Positions:
    """Keep a random subset: what every other way of choosing must beat.

    Parameters
    ----------
    n
        How many examples there are.
    fraction, count
        How much is kept, as in `keep_hardest`.
    seed
        Not negative. With the same seed and the same `n`, a smaller subset is part of a larger one. Per
        class this holds if the smallest class gains at least one example by the difference.
    labels
        Shape (n,), integers or strings. If given, each class keeps its share, as in `keep_hardest`.
    at_least
        As in `keep_hardest`; the rest are drawn from all classes.

    Returns
    -------
    numpy.ndarray of shape (k,), int64
        The positions of the kept examples, ascending.

    Raises
    ------
    PruneKitError
        If `n` is not a positive integer, `seed` is not one or 0, or the sizes or labels do not fit.

    Examples
    --------
    >>> keep_random(1000, count=3, seed=0)
    array([206, 222, 459])
    """
    if not isinstance(n, Integral) or isinstance(n, bool) or n < 1:
        raise PruneKitError(
            f"`n` must be the number of examples, at least 1; got {n!r}.",
            hint="give len(labels) or scores.shape[0]",
        )
    check_selection_seed(seed)
    size = subset_size(int(n), fraction, count)
    # The rank of each example in one shuffle: a larger subset takes more of the same order.
    order = np.random.default_rng(int(seed)).permutation(int(n))
    if labels is None and at_least is None:
        return np.sort(order[:size])
    ranks = np.empty_like(order)
    ranks[order] = np.arange(order.size)
    return window(ranks, 0, size, labels, at_least)


def _offset_size(offset: float, n: int, size: int, fraction: float | None) -> int:
    """How many examples `offset` discards: itself, or `round(offset * n)`."""
    is_count = isinstance(offset, Integral)
    if (
        isinstance(offset, bool)
        or not isinstance(offset, Real)
        or not offset >= 0
        or (not is_count and offset >= 1)
    ):
        raise PruneKitError(
            f"`offset` must be a number of examples (an integer, 0 or more) or a fraction (a float in "
            f"[0, 1)); got {offset!r}.",
            hint="the offset says how many of the lowest-scoring examples are discarded first",
        )
    discarded = int(offset) if is_count else round(float(offset) * n)
    if not is_count and fraction is not None and float(offset) + fraction <= 1 + 1e-9:
        discarded = min(discarded, n - size)
    if discarded + size > n:
        raise PruneKitError(
            f"`offset` and the number kept must not be more than the {n} examples together; "
            f"got {discarded} + {size} = {discarded + size}.",
            hint=f"with this offset at most {max(n - discarded, 0)} can be kept",
        )
    return discarded


def shared_scores(kept: NumpyArray, left: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    """Scores that both kept and other examples have, and which of the kept ones have one of these."""
    shared = np.intersect1d(kept, left)
    return shared, np.isin(kept, shared)
