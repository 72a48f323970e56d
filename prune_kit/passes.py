"""Epochs of a given number of steps: passes over the training data that go on from epoch to epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from .errors import PruneKitError

T = TypeVar("T")


def batches_of_epoch(
    one_pass: Callable[[int], Iterable[T]], epoch: int, *, steps_per_epoch: int | None, steps_per_pass: int
) -> Iterator[T]:
    """The batches of one epoch, which depend on its number alone, not on the epochs before it.

    Parameters
    ----------
    one_pass
        Gives the batches of the pass of a number, from 1 on: the same ones each time.
    epoch
        From 1 on.
    steps_per_epoch
        How many steps count as an epoch, or None: then the epoch is the pass of its number.
    steps_per_pass
        How many batches a pass has.

    Raises
    ------
    PruneKitError
        If a pass has no batch, or, where they are counted, fewer than `steps_per_pass`.

    Examples
    --------
    >>> [list(batches_of_epoch(lambda n: [f"{n}a", f"{n}b"], e, steps_per_epoch=3, steps_per_pass=2))
    ...  for e in (1, 2)]
    [['1a', '1b', '2a'], ['2b', '3a', '3b']]
    """
    if steps_per_epoch is None:
        yield from one_pass(epoch)
        return
    for number, first, last in parts_of_epoch(epoch, steps_per_epoch, steps_per_pass):
        left = last - first
        for batch in islice(one_pass(number), first, last):
            yield batch
            left -= 1
        if left > 0:
            raise PruneKitError(
                f"the training data gave fewer batches in a pass than its length says, {steps_per_pass}.",
                hint="`steps_per_epoch` needs data whose length is known",
            )


def parts_of_epoch(epoch: int, steps_per_epoch: int, steps_per_pass: int) -> Iterator[tuple[int, int, int]]:
    """The passes in an epoch: each one's number, its first step there and the one after its last.

    Examples
    --------
    >>> list(parts_of_epoch(2, 5, 3))
    [(2, 2, 3), (3, 0, 3), (4, 0, 1)]

    Raises
    ------
    PruneKitError
        If a pass has no step.
    """
    if steps_per_pass < 1:
        raise PruneKitError(
            "the training data gives no batch.", hint="make its batches smaller, or do not drop the last one"
        )
    at, end = (epoch - 1) * steps_per_epoch, epoch * steps_per_epoch
    while at < end:
        passes, first = divmod(at, steps_per_pass)
        last = min(steps_per_pass, first + end - at)
        yield passes + 1, first, last
        at += last - first
