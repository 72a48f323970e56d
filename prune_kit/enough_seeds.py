"""Add seeds to a run until their mean is reliable."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import NamedTuple

from .checks import is_whole_number
from .errors import PruneKitError
from .reliability import seeds_for
from .store import Run
from .summary import aggregate_run

FIRST_SEEDS = 3
"""Seeds that are always trained: the agreement of two is one number."""


class EnoughSeeds(NamedTuple):
    """What came of it."""

    run: Run
    seeds: int
    """How many seeds the run has now."""
    reliability: float | None
    """Of the mean over them; None where a seed gives all examples the same score."""
    is_reached: bool


def train_until_reliable(
    train: Callable[[int], Run],
    /,
    *,
    target: float,
    first: int = FIRST_SEEDS,
    most: int = 20,
    score: str = "el2n",
    epoch: int | None = None,
) -> EnoughSeeds:
    """Train seeds until the mean score over them has a reliability of `target`.

    Parameters
    ----------
    train
        Called with a number k, brings the run to seeds 0 ... k - 1 and gives it; seeds that it has already
        stay as they are. ``lambda k: train_seeds(make_model, data, seeds=k, ...)`` of an adapter.
    target
        Above 0 and below 1, such as 0.95; see `reliability`.
    first, most
        How many seeds are trained at least, 2 or more, and at most.
    score, epoch
        As for `aggregate_run`: which score is to be reliable, and where.

    Returns
    -------
    EnoughSeeds
        The run, how many seeds it has, the reliability of their mean, and whether that is the target.

    Raises
    ------
    PruneKitError
        If an option is out of range, or as `train` and `aggregate_run` do.
    """
    if not isinstance(target, Real) or isinstance(target, bool) or not 0 < target < 1:
        raise PruneKitError(f"`target` must be a number above 0 and below 1; got {target!r}.")
    if not is_whole_number(first, at_least=2) or not is_whole_number(most, at_least=2) or first > most:
        raise PruneKitError(
            f"`first` and `most` must be whole numbers of 2 or more, `first` not above `most`; "
            f"got {first!r} and {most!r}."
        )
    seeds = first
    while True:
        run = train(seeds)
        made = aggregate_run(run, score=score, epoch=epoch).provenance
        seeds, reliability, agreement = len(made["seeds"]), made["reliability"], made["agreement"]
        reached = reliability is not None and reliability >= target
        if reached or seeds >= most:
            return EnoughSeeds(run, seeds, reliability, reached)
        wanted = seeds + 1
        if agreement is not None and agreement > 0:
            # An agreement estimated from few seeds is rough: no leap is longer than what there is.
            wanted = min(max(wanted, seeds_for(agreement, float(target))), 2 * seeds)
        seeds = min(wanted, most)
