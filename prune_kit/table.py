"""ScoreTable: ids, labels and named columns, one row per example, with where they come from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import Array, NumpyArray, to_numpy
from .errors import PruneKitError, StoreError
from .ids import check_ids
from .parquet_tables import provenance_of, read_table, with_provenance, write_table
from .rich import score_table_html

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_RESERVED = ("id", "label")


class ScoreTable:
    """Scores of examples: ids, labels and columns, one row per example.

    Parameters
    ----------
    ids
        What names each example, shape (n,): integers (kept as int64) or strings. Every id once.
    labels
        Class indices, shape (n,), kept as int64; or soft labels, shape (n, c), kept as float32.
    columns
        Named columns, each of shape (n,); or (n, c), numbers, for c values per example, such as class
        probabilities. Scores are float32 or float64; higher is harder.
    provenance
        Where the table comes from (run, model, data, seeds, epochs ...); anything JSON can hold.

    Raises
    ------
    PruneKitError
        If a length differs, an id is there twice, or a column is called ``id`` or ``label``.

    Examples
    --------
    >>> table = ScoreTable([10, 11], [0, 1], {"el2n": [0.25, 0.5]})
    >>> table["el2n"]
    array([0.25, 0.5 ])
    >>> len(table), list(table)
    (2, ['el2n'])
    """

    def __init__(
        self,
        ids: Array,
        labels: Array,
        columns: Mapping[str, Array],
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.ids = _as_ids(ids)
        self.labels = _as_labels(labels, len(self.ids))
        self.columns = {name: _as_column(name, column, len(self.ids)) for name, column in columns.items()}
        self.provenance: dict[str, Any] = dict(provenance or {})

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> NumpyArray:
        """The column called `name`, shape (n,) or (n, c)."""
        if name not in self.columns:
            raise PruneKitError(
                f"there is no column {name!r}; the columns are {', '.join(self.columns) or '(none)'}.",
                hint="ids and labels are `.ids` and `.labels`" if name in _RESERVED else None,
            )
        return self.columns[name]

    def __repr__(self) -> str:
        return f"ScoreTable({len(self)} examples: {', '.join(self.columns)})"

    def _repr_html_(self) -> str:
        """What notebooks show."""
        return score_table_html(self.ids, self.labels, self.columns, self.provenance)

    def take(self, positions: Array) -> ScoreTable:
        """The rows at `positions`, in that order.

        Parameters
        ----------
        positions
            Integer positions, shape (m,), such as `keep_hardest` returns.
        """
        rows = to_numpy(positions)
        columns = {name: column[rows] for name, column in self.columns.items()}
        return ScoreTable(self.ids[rows], self.labels[rows], columns, self.provenance)

    def to_arrow(self) -> pa.Table:
        """The table as a `pyarrow.Table` with columns id, label, then the others."""
        import pyarrow as pa

        arrays = {"id": pa.array(self.ids, type=pa.string() if self.ids.dtype.kind == "U" else pa.int64())}
        arrays |= {name: _to_arrow(column) for name, column in {"label": self.labels, **self.columns}.items()}
        return with_provenance(pa.table(arrays), self.provenance)

    def to_pandas(self) -> pd.DataFrame:
        """The table as a `pandas.DataFrame` with columns id, label, then the others (needs pandas)."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_parquet(self, path: str | Path) -> Path:
        """Write one Parquet file, whole or not at all; what was there before stays until then.

        Raises
        ------
        StoreError
            If the file cannot be written (no such folder, no permission, disk full).
        """
        path = Path(path)
        write_table(self.to_arrow(), path)
        return path

    @classmethod
    def read(cls, path: str | Path, *, columns: Collection[str] | None = None) -> ScoreTable:
        """Read a Parquet file that has `id` and `label` columns.

        Parameters
        ----------
        path
            The file.
        columns
            Those to read beside ids and labels, as far as they are there; all, if not given.

        Raises
        ------
        StoreError
            If the file is missing, cut short, not Parquet, or lacks these columns.
        """
        path = Path(path)
        table = read_table(path, columns=None if columns is None else {*_RESERVED, *columns})
        missing = [name for name in _RESERVED if name not in table.column_names]
        if missing:
            raise StoreError(
                f"{path} must have columns id and label; it has {', '.join(table.column_names) or 'none'}.",
                hint="scores are made with `prunekit score` and `prunekit aggregate`",
            )
        read = {name: _from_arrow(table[name]) for name in table.column_names if name not in _RESERVED}
        provenance = provenance_of(table, path)
        try:
            return cls(_ids_from(table["id"]), _from_arrow(table["label"]), read, provenance)
        except PruneKitError as error:
            raise StoreError(f"{path}: {error}") from error


def _ids_from(column: Any) -> Any:
    return np.asarray(column.to_pylist()) if "string" in str(column.type) else column.to_numpy()


def _to_arrow(values: NumpyArray) -> Any:
    import pyarrow as pa

    if values.ndim == 1:
        return pa.array(values)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _from_arrow(column: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_fixed_size_list(column.type) and _is_number(column.type.value_type):
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        width = max(1, column.type.list_size)
        # Rows that are null have no values: the others are too few, which is told where lengths are checked.
        return flat[: len(flat) // width * width].reshape(-1, width)
    return column.to_numpy(zero_copy_only=False)


def _is_number(arrow_type: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(arrow_type) or pa.types.is_integer(arrow_type))


def _as_ids(ids: Array) -> NumpyArray:
    checked = check_ids(ids)
    return checked if checked.dtype.kind == "i" else checked.astype(np.str_)


def _as_labels(labels: Array, n: int) -> NumpyArray:
    array = to_numpy(labels)
    if array.ndim not in (1, 2) or len(array) != n:
        raise PruneKitError(f"`labels` must have shape ({n},) or ({n}, classes); got {array.shape}.")
    if array.ndim == 2:
        return array.astype(np.float32, copy=False)
    if array.dtype.kind not in "iub":
        raise PruneKitError(f"`labels` of shape ({n},) must be integer class indices; got {array.dtype}.")
    return array.astype(np.int64, copy=False)


def _as_column(name: str, column: Array, n: int) -> NumpyArray:
    if name in _RESERVED:
        raise PruneKitError(f"a column cannot be called {name!r}: ids and labels have their own arguments.")
    array = to_numpy(column)
    if array.ndim == 2 and len(array) == n and array.shape[1] > 1 and array.dtype.kind in "iuf":
        return array
    if array.shape != (n,):
        raise PruneKitError(
            f"column {name!r} must have shape ({n},), one per id; got {array.shape}.",
            hint=f"or ({n}, c), numbers, c of them per example, 2 or more" if array.ndim > 1 else None,
        )
    return array
