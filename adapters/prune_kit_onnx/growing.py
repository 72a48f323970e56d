"""Columns that are filled part by part, in place: parts kept until the end would take the memory twice."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from prune_kit.arrays import NumpyArray


class GrowingColumns:
    """Named arrays that grow by rows.

    Parameters
    ----------
    rows
        How many there will be, where that is known.
    """

    def __init__(self, rows: int | None) -> None:
        self._expected = rows
        self._filled = 0
        self._arrays: dict[str, NumpyArray] = {}

    def append(self, parts: Mapping[str, NumpyArray]) -> None:
        """Add rows: the same names each time, each part of shape (b, ...)."""
        n = len(next(iter(parts.values())))
        for name, part in parts.items():
            if name not in self._arrays:
                self._arrays[name] = np.empty((self._expected or n, *part.shape[1:]), part.dtype)
            self._make_room(name, self._filled + n, part.dtype)
            self._arrays[name][self._filled : self._filled + n] = part
        self._filled += n

    def whole(self) -> dict[str, NumpyArray]:
        """All rows so far, by name."""
        return {name: array[: self._filled] for name, array in self._arrays.items()}

    def _make_room(self, name: str, rows: int, dtype: np.dtype[np.generic]) -> None:
        array = self._arrays[name]
        wide = np.promote_types(array.dtype, dtype)  # longer strings than before
        if rows <= len(array) and wide == array.dtype:
            return
        capacity = len(array) if rows <= len(array) else max(rows, 2 * len(array))
        larger = np.empty((capacity, *array.shape[1:]), wide)
        larger[: self._filled] = array[: self._filled]
        self._arrays[name] = larger
