"""Rows of a long measurement in a Parquet file that is written anew whenever some are known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import NumpyArray
from .column_files import read_columns, write_columns
from .errors import RunConflictError


class ResumedRows:
    """Rows that are there already, and those that are added.

    Parameters
    ----------
    path
        The file. One that is there must have been measured in the same way.
    types
        Of each column, in the order of the file: int, float or str.
    key
        Which columns tell a row from every other; rows are kept in their order.
    measured
        On what the rows depend, as JSON values.
    made
        What else the file is to say of how it was made.
    made_by
        The command that makes such a file.

    Raises
    ------
    RunConflictError
        If the file holds rows that were measured otherwise; what differs is named.
    StoreError
        If it cannot be read.
    """

    def __init__(
        self,
        path: Path,
        /,
        *,
        types: Mapping[str, type],
        key: Sequence[str],
        measured: Mapping[str, Any],
        made: Mapping[str, Any],
        made_by: str,
    ) -> None:
        self._path, self._types, self._key = path, dict(types), tuple(key)
        # JSON has no tuples: compare what was written with what would be written.
        measured = json.loads(json.dumps(dict(measured)))
        self._provenance = {**made, "measured": measured}
        self._rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        if not path.exists():
            return
        columns, provenance = read_columns(path, names=tuple(types), made_by=made_by)
        before = provenance.get("measured", {})
        if differs := [name for name in measured if before.get(name) != measured[name]]:
            raise RunConflictError(
                f"{path} holds rows that were measured otherwise; what differs: {', '.join(differs)}.",
                hint="give another --out",
            )
        lists = (columns[name].tolist() for name in types)
        for values in zip(*lists, strict=True):
            self._put(dict(zip(types, values, strict=True)))

    def __contains__(self, key: object) -> bool:
        """Whether there is a row of this key, or of one that begins with it."""
        assert isinstance(key, tuple)
        return key in self._rows or any(each[: len(key)] == key for each in self._rows)

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows and write the file, whole or not at all."""
        for row in rows:
            self._put(row)
        write_columns(self._path, self.columns(), self._provenance)

    def columns(self) -> dict[str, NumpyArray]:
        """All rows so far."""
        ordered = [self._rows[key] for key in sorted(self._rows)]
        return {name: np.array([row[name] for row in ordered], kind) for name, kind in self._types.items()}

    def _put(self, row: Mapping[str, Any]) -> None:
        self._rows[tuple(row[name] for name in self._key)] = {name: row[name] for name in self._types}
