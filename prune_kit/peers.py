"""The processes that train one model together, as far as a recorder needs to know them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .errors import PruneKitError, StoreError


class Peers(Protocol):
    """Processes that each see a part of the examples; an adapter knows how they talk."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    @property
    def rank(self) -> int:
        """Which one this is; 0 writes."""
        ...

    def gather(self, value: Any, /) -> list[Any]:
        """The value of every process, by rank, in every process. All must call it."""
        ...


class Alone:
    """One process."""

    size = 1
    rank = 0

    def gather(self, value: Any, /) -> list[Any]:
        """See `Peers.gather`."""
        return [value]


def everyones(peers: Peers, own: Callable[[], Any]) -> list[Any]:
    """What `own` gives in every process, by rank; an error of one is raised in all, so that none waits.

    Raises
    ------
    PruneKitError
        The error of the first process that has one.
    """
    value, failure = None, None
    try:
        value = own()
    except PruneKitError as error:
        failure = error
    outcomes = peers.gather((value, None if failure is None else str(failure)))
    if failure is not None:
        raise failure
    for rank, (_, said) in enumerate(outcomes):
        if said is not None:
            raise PruneKitError(f"process {rank}: {said}")
    return [each for each, _ in outcomes]


def on_rank_0(peers: Peers, act: Callable[[], None]) -> None:
    """Have process 0 do something; its error is raised in all.

    Raises
    ------
    StoreError
        In the other processes, if process 0 failed; there, its own error.
    """
    failure: PruneKitError | None = None
    if peers.rank == 0:
        try:
            act()
        except PruneKitError as error:
            failure = error
    said = peers.gather(None if failure is None else str(failure))[0]
    if failure is not None:
        raise failure
    if said is not None:
        raise StoreError(f"process 0: {said}")
