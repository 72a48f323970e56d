"""Keep examples whose labels are not flagged as wrong: any way of choosing, among the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._selection import answer, as_scores
from .arrays import Array, as_array, to_numpy
from .checks import subset_size
from .classes import encode_labels
from .errors import PruneKitError


def exclude_flagged(
    keep: Callable[..., Array],
    scores: object,
    flags: object,
    /,
    *,
    fraction: float | None = None,
    count: int | None = None,
    labels: object = None,
    ids: object = None,
    **options: Any,
) -> Array:
    """Choose by `keep` among the examples that are not flagged: exactly as many as asked for.

    Parameters
    ----------
    keep
        `keep_hardest`, `keep_easiest`, `keep_window` or `keep_stratified`; or any function of the scores
        (k,), of `count` and, where labels are given, of `labels` (k,) that gives positions.
    scores
        As in `keep_hardest`, of all examples.
    flags
        Shape (n,), bool: the examples that are never kept, such as those of `flag_noise` or `flag_highest`.
    fraction, count
        How much is kept, of all examples, flagged or not: exactly `count`, or `round(fraction * n)`.
    labels
        As in `keep_hardest`. Each class keeps its share of the examples that are not flagged.
    ids
        As in `keep_hardest`.
    **options
        Of `keep`. An `offset` or `prune_hardest` that is a fraction is one of the examples that are not
        flagged.

    Returns
    -------
    array of shape (k,)
        As in `keep_hardest`.

    Raises
    ------
    PruneKitError
        As in `keep`; if `flags` are not bool, one per score; or if fewer examples than are to be kept are
        not flagged.

    Examples
    --------
    >>> import numpy as np
    >>> from prune_kit import keep_hardest
    >>> scores = np.array([0.1, 0.9, 0.3, 0.7])
    >>> exclude_flagged(keep_hardest, scores, np.array([False, True, False, False]), fraction=0.5)
    array([2, 3])
    """
    reference, values = as_scores(scores)
    flagged = to_numpy(as_array(flags, "flags"))
    if flagged.shape != values.shape or flagged.dtype.kind != "b":
        raise PruneKitError(
            f"`flags` must be bool of shape ({values.size},), one per score; "
            f"got {flagged.dtype} of shape {flagged.shape}.",
            hint="numpy.isin(numpy.arange(n), positions) makes them of positions",
        )
    size = subset_size(values.size, fraction, count)
    rows = np.flatnonzero(~flagged)
    if size > rows.size:
        raise PruneKitError(
            f"{size} of {values.size} examples are to be kept, and only {rows.size} are not flagged.",
            hint="keep fewer, or flag fewer",
        )
    if labels is not None:
        options["labels"] = encode_labels(labels, values.size)[1][rows]
    if size:
        rows = rows[to_numpy(keep(values[rows], count=size, **options))]
    return answer(rows[:size], reference, values.size, ids)
