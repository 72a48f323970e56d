"""Groups of examples that are neighbours in the order of their scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .arrays import Array, to_numpy
from .checks import is_whole_number
from .errors import PruneKitError


@dataclass(frozen=True, eq=False)
class ScoreGroup:
    """Some examples whose scores follow each other.

    Attributes
    ----------
    first_rank, last_rank
        Their ranks, half-open, ascending by score from 0; ties by position.
    positions
        Where they are, shape (last_rank - first_rank,), in ascending order of score.
    score
        The mean of their scores; higher is harder.
    """

    first_rank: int
    last_rank: int
    positions: npt.NDArray[np.int64]
    score: float


def score_groups(scores: Array, /, *, size: int, count: int | None = None) -> list[ScoreGroup]:
    """Groups of `size` contiguous examples in ascending order of score, none in two groups.

    Parameters
    ----------
    scores
        Shape (n,); higher is harder.
    size
        How many examples a group has.
    count
        How many groups, spread evenly over the ranks, the first with the lowest and the last with the
        highest scores; by default, and at the most, as many as there is room for.

    Raises
    ------
    PruneKitError
        If `size` or `count` is out of range, or a score is NaN.
    """
    values = to_numpy(scores)
    if values.ndim != 1 or not len(values) or np.isnan(values).any():
        raise PruneKitError(f"`scores` must have shape (n,), without NaN; got shape {values.shape}.")
    n = len(values)
    if not is_whole_number(size, at_least=1) or size > n:
        raise PruneKitError(
            f"`size` must be a whole number from 1 to the number of examples, {n:,}; got {size!r}.",
            hint="smaller groups are cheaper too",
        )
    if count is not None and not is_whole_number(count, at_least=1):
        raise PruneKitError(f"`count` must be 1 or more; got {count!r}.")
    room = n // size
    starts = np.linspace(0, n - size, room if count is None else min(count, room)).round().astype(int)
    order = np.argsort(values, kind="stable")
    groups = []
    for start in starts.tolist():
        chosen = order[start : start + size]
        groups.append(ScoreGroup(start, start + size, chosen, float(values[chosen].mean())))
    return groups
