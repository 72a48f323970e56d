"""Positions that travel with the examples, through samplers, workers and collate functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch.utils.data import Dataset


class Numbered(Dataset[Any]):
    """A Dataset that says with each example at which position it stands."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        if getattr(dataset, "__getitems__", None):  # what a DataLoader calls where it is there
            self.__getitems__ = self._numbered_items

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, position: int) -> tuple[int, Any]:
        return position, self._dataset[position]

    def _numbered_items(self, positions: Sequence[int]) -> list[tuple[int, Any]]:
        return list(zip(positions, self._dataset.__getitems__(positions), strict=True))


class CollateNumbered:
    """A collate function that keeps the positions beside the batch; a class, so that workers can have it."""

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        self._collate = collate

    def __call__(self, numbered: Sequence[tuple[int, Any]]) -> tuple[list[int], Any]:
        """Positions and the batch of numbered examples."""
        return [position for position, _ in numbered], self._collate([example for _, example in numbered])
