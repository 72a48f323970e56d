"""Files of training dynamics: kernel velocities of groups of examples, error barriers between children."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import NumpyArray
from .column_files import read_columns
from .dynamics import error_barrier

VELOCITY_TYPES: Mapping[str, type] = {
    "seed": int,
    "epoch": int,
    "next_epoch": int,
    "group": int,
    "first_rank": int,
    "last_rank": int,
    "score": float,
    "velocity": float,
}
BARRIER_TYPES: Mapping[str, type] = {
    "seed": int,
    "spawn_epoch": int,
    "examples": str,
    "count": int,
    "alpha": float,
    "error": float,
    "loss": float,
}
BARRIER_FILE = "barrier.parquet"


def read_velocity(path: str | Path, /) -> dict[str, NumpyArray]:
    """Read a file of `prunekit velocity`.

    Returns
    -------
    dict of NumPy arrays
        One row per seed, interval of epochs and group of examples: seed, epoch, next_epoch, group (0 has the
        lowest scores), first_rank, last_rank (ranks ascending by score from 0, half-open), all int64; score
        (mean of the group; higher is harder), velocity (in [0, 2]; see `kernel_velocity`), both float64.

    Raises
    ------
    StoreError
        If the file is missing, damaged, or lacks a column.
    """
    return read_columns(path, names=tuple(VELOCITY_TYPES), made_by="`prunekit velocity`")[0]


class Barriers(Mapping[str, NumpyArray]):
    """Errors along the lines between children of networks, as columns by name.

    One row per seed, spawn epoch, kind of examples and point of the path: seed, spawn_epoch (int64); examples
    ("highest", "lowest", "random" or "all"); count (int64: how many they are); alpha (0 and 1 are the
    children); error (the share of them that is wrong), loss (their mean cross-entropy in nats), float64.
    """

    def __init__(self, columns: Mapping[str, NumpyArray]) -> None:
        self._columns = dict(columns)

    def __getitem__(self, name: str) -> NumpyArray:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def summary(self) -> list[dict[str, Any]]:
        """The `error_barrier` of every path, and that of its loss.

        Returns
        -------
        list of dict
            ``seed``, ``spawn_epoch``, ``examples``, ``count``, ``error_barrier`` (in [0, 1]) and
            ``loss_barrier`` (nats), in the order of the rows.
        """
        names = ("seed", "spawn_epoch", "examples")
        keys = list(zip(*(self[name].tolist() for name in names), strict=True))
        found = []
        for key in dict.fromkeys(keys):
            rows = np.flatnonzero([each == key for each in keys])
            rows = rows[np.argsort(self["alpha"][rows], kind="stable")]
            alphas = self["alpha"][rows]
            found.append(
                {
                    **dict(zip(names, key, strict=True)),
                    "count": int(self["count"][rows[0]]),
                    "error_barrier": error_barrier(self["error"][rows], alphas),
                    "loss_barrier": error_barrier(self["loss"][rows], alphas),
                }
            )
        return found


def read_barrier(path: str | Path, /) -> Barriers:
    """Read what `prunekit barrier` wrote: its directory, or the file barrier.parquet in it.

    Raises
    ------
    StoreError
        If the file is missing, damaged, or lacks a column.
    """
    path = Path(path)
    file = path / BARRIER_FILE if path.is_dir() else path
    return Barriers(read_columns(file, names=tuple(BARRIER_TYPES), made_by="`prunekit barrier`")[0])
