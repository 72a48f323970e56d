"""Parquet files that are parts of one data set: opened, compared and read, with errors that name the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..arrays import NumpyArray
from ..errors import PruneKitError, StoreError
from .columns import listed

ID_COLUMN = "id"
_READ_BYTES = 1 << 16  # of each column at a time


def common_schema(files: Sequence[Path]) -> pa.Schema:
    """Return the schema of the first file, metadata included.

    Raises
    ------
    StoreError
        If a file is not Parquet, differs in its columns from the first, or has two of one name.
    """
    first = open_parquet(files[0]).schema_arrow
    for path in files[1:]:
        schema = open_parquet(path).schema_arrow
        if not schema.equals(first):
            raise StoreError(
                f"{path} has other columns than {files[0]}: {listed(typed_names(schema))}, "
                f"not {listed(typed_names(first))}.",
                hint="all files must be parts of one data set; give one file, or a pattern for some of them",
            )
    if len(set(first.names)) < len(first.names):
        raise StoreError(f"{files[0]} has several columns of one name; it has {listed(first.names)}.")
    return first


def open_parquet(path: Path, **options: Any) -> pq.ParquetFile:
    """Open a file with the options of `pyarrow.parquet.ParquetFile`; StoreError if it is not Parquet."""
    with reading(path):  # by default, Arrow holds all that it will read, and each column of a row group whole
        return pq.ParquetFile(path.absolute(), pre_buffer=False, buffer_size=_READ_BYTES, **options)


def read_batches(file: pq.ParquetFile, path: Path, **options: Any) -> Iterator[pa.RecordBatch]:
    """Read with the options of `ParquetFile.iter_batches`; StoreError if the file is damaged."""
    with reading(path):
        yield from file.iter_batches(**options)


def column_values(batch: pa.RecordBatch, name: str, source: str, first_row: int) -> NumpyArray:
    """Return a column of a batch as NumPy, of whatever type it is; nulls are refused."""
    column = batch.column(name)
    refuse_nulls(column, name, source, first_row)
    return to_numpy(column)


def refuse_nulls(column: Any, name: str, source: str, first_row: int) -> None:
    """Raise PruneKitError where a column of a batch has nulls; the first is named."""
    if not column.null_count:
        return
    missing = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)) + first_row
    raise PruneKitError(
        f"{source}: the column {name} must have no nulls; got {missing.size} in one part, the first in row "
        f"{missing[0]}.",
        hint="fill in missing values, or leave these rows out",
    )


def to_numpy(column: Any) -> NumpyArray:
    """Return an Arrow column as NumPy, dictionaries decoded."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return np.asarray(column.to_numpy(zero_copy_only=False))


def typed_names(schema: pa.Schema) -> list[str]:
    """Write out each column with its type."""
    return [f"{field.name} ({field.type})" for field in schema]


@contextmanager
def reading(source: str | Path) -> Iterator[None]:
    """Turn what Arrow raises for files that are not there, not Parquet or damaged into StoreError."""
    try:
        yield
    except FileNotFoundError as error:
        raise StoreError(f"there is no file {source}.", hint="check the spelling") from error
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise StoreError(
            f"{source} is not a readable Parquet file: {error}",
            hint="is it complete? Fetch or write it again",
        ) from error
