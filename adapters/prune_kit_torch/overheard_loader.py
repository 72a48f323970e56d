"""A DataLoader that remembers whose the batches are that leave it, and shows nothing of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError

from .identified_loader import arguments_of, check_identifiable
from .loader_settings import settings_of

_REMEMBERED = 4
"""Batches: a training loop fetches one ahead at most, and someone else may take some in between."""


class OverheardLoader(DataLoader[Any]):
    """The same as `loader`, for those who ask it afterwards whose a batch is.

    Data set, samplers, collate function and batches are the loader's own, in workers as well. The batch
    sampler is overheard as it draws; the batches come back in that order.

    Parameters
    ----------
    loader
        A DataLoader of a data set with a length. It is not changed.

    Raises
    ------
    PruneKitError
        As for `with_ids`; or if `in_order=False`.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        check_identifiable(loader)
        if not getattr(loader, "in_order", True):
            raise PruneKitError(
                "`loader` must give its batches in the order in which they are drawn; it has in_order=False.",
                hint="leave in_order=True",
            )
        super().__init__(**arguments_of(loader))
        self._left: deque[tuple[Any, NumpyArray]] = deque(maxlen=_REMEMBERED)
        self._inner: tuple[DataLoader[Any], _Drawn] | None = None

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # Made as late as this: libraries give a loader its worker_init_fn when it is there already.
        if self._inner is None or not self.persistent_workers:
            drawn = _Drawn(self.batch_sampler)
            loader: DataLoader[Any] = DataLoader(
                self.dataset, batch_sampler=drawn, collate_fn=self.collate_fn, **settings_of(self)
            )
            self._inner = loader, drawn
        loader, drawn = self._inner
        batches = iter(loader)
        return self._remembered(batches, drawn.positions)

    def positions_of(self, batch: Any) -> NumpyArray | None:
        """Where the examples of a batch stand in the data set; None if the batch did not leave this loader.

        The batch must be the object that left, and is asked about once: it and those that left before it
        are then forgotten, for they may have been taken by someone who never asks.
        """
        for place, (left, positions) in enumerate(self._left):
            if left is batch:
                for _ in range(place + 1):
                    self._left.popleft()
                return positions
        return None

    def close(self) -> None:
        """Let persistent workers go, and what is remembered."""
        self._inner = None
        self._left.clear()

    def _remembered(self, batches: Iterator[Any], drawn: deque[NumpyArray]) -> Iterator[Any]:
        for batch in batches:
            self._left.append((batch, drawn.popleft()))
            yield batch


class _Drawn:
    """A batch sampler that keeps what it draws, for each pass by itself."""

    def __init__(self, batches: Any) -> None:
        self.positions: deque[NumpyArray] = deque()
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        self.positions = deque()
        return self._drawn(iter(self._batches), self.positions)

    @staticmethod
    def _drawn(batches: Iterator[Any], positions: deque[NumpyArray]) -> Iterator[Any]:
        for batch in batches:
            kept = list(batch) if isinstance(batch, Iterator) else batch
            positions.append(_as_positions(kept))
            yield kept


def _as_positions(batch: Any) -> NumpyArray:
    positions = np.asarray(batch)
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        raise PruneKitError(
            f"the batch sampler must draw whole numbers, the examples' positions; got {batch!r:.60}.",
            hint="examples that are asked for by another key have no position",
        )
    return positions.astype(np.int64)
