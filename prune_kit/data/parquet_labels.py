"""The labels and ids of Parquet files: read at once, for all else is told by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..arrays import NumpyArray
from .labels import class_indices
from .parquet_files import column_values, open_parquet, read_batches, reading, refuse_nulls
from .parquet_roles import class_names, is_text


def read_labels(
    files: Sequence[Path], schema: pa.Schema, column: str, source: str
) -> tuple[npt.NDArray[np.int64], tuple[str, ...] | None]:
    """Return class indices, shape (n,), and the names of the classes where there are any.

    Raises
    ------
    StoreError
        If a file is damaged.
    PruneKitError
        If a label is missing, or is neither a string nor a whole number.
    """
    if is_text(schema.field(column).type):
        return _indices_of_names(files, column, source)
    return class_indices(read_column(files, column, source), class_names(schema, column), source)


def read_column(files: Sequence[Path], column: str, source: str) -> NumpyArray:
    """Return a column of all files as NumPy, of whatever type it is; nulls are refused."""
    parts = []
    for row, batch in _batches(files, column):
        with reading(source):  # Arrow checks strings only when they are converted
            parts.append(column_values(batch, column, source, row))
    return np.concatenate(parts)


def _indices_of_names(
    files: Sequence[Path], column: str, source: str
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Number the names as they come, then as they sort: no string is held for each row."""
    numbers: dict[str, int] = {}
    parts = []
    for row, batch in _batches(files, column):
        values = batch.column(column)
        refuse_nulls(values, column, source, row)
        with reading(source):
            codes = values.cast(pa.string()).dictionary_encode()
            own = [numbers.setdefault(name, len(numbers)) for name in codes.dictionary.to_pylist()]
        parts.append(np.array(own, dtype=np.int64)[codes.indices.to_numpy()])
    names = tuple(sorted(numbers))
    rank = np.empty(len(names), dtype=np.int64)
    rank[[numbers[name] for name in names]] = np.arange(len(names))
    return rank[np.concatenate(parts)], names


def _batches(files: Sequence[Path], column: str) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Read a column, with the position of each batch's first row in all files."""
    row = 0
    for path in files:
        for batch in read_batches(open_parquet(path), path, columns=[column]):
            yield row, batch
            row += len(batch)
