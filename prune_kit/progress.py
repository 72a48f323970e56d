"""A bar on stderr: seeds, epochs, steps and the time left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Self

from tqdm import tqdm

from .training import SeedPlan

_WITHIN: ContextVar[str] = ContextVar("within", default="")


@contextmanager
def within(what: str, /) -> Iterator[None]:
    """Bars that are begun inside the block say `what` first: of which of several runs they are."""
    token = _WITHIN.set(what)
    try:
        yield
    finally:
        _WITHIN.reset(token)


class Progress:
    """Shows how far a run is; silent off a terminal.

    Parameters
    ----------
    plans
        What is left to do.
    steps
        Steps of one epoch.
    enabled
        Whether to show anything at all.
    """

    def __init__(self, plans: Sequence[SeedPlan], steps: int, *, enabled: bool) -> None:
        self._steps = steps
        self._within = _WITHIN.get()
        self._place = {plan.seed: f"seed {i} of {len(plans)}" for i, plan in enumerate(plans, 1)}
        self._last = {plan.seed: plan.last_epoch for plan in plans}
        # tqdm's None means: silent where stderr is no terminal.
        self._total = sum(self._last.values()) * steps
        self._bar = tqdm(total=self._total, unit="step", disable=None if enabled else True, desc="starting")
        self._epochs_done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def begin_seed(self, seed: int, epoch: int) -> None:
        """A seed begins, after `epoch` epochs that an interrupted command trained."""
        # They are no work of this command: without them the time left is right.
        self._total -= epoch * self._steps
        self._bar.total = self._total
        self.begin_epoch(seed, epoch + 1)

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """An epoch of a seed begins."""
        self._bar.set_description(f"{self._within}{self._place[seed]}, epoch {epoch} of {self._last[seed]}")

    def step(self) -> None:
        """A batch was trained on."""
        self._bar.update()

    def end_epoch(self) -> None:
        """An epoch was trained and, where asked for, scored."""
        self._epochs_done += 1
        self._bar.update(self._epochs_done * self._steps - self._bar.n)
