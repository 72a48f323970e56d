"""Columns of Parquet as the arrays that models take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..arrays import NumpyArray
from ..errors import PruneKitError, StoreError
from .inputs import as_named_input
from .parquet_files import to_numpy
from .parquet_roles import is_list


def encoded_images(column: Any, source: str, first_row: int) -> list[bytes]:
    """Return the contents of image files; StoreError where only a path is stored."""
    if pa.types.is_struct(column.type):
        column = column.field("bytes")
        if column.null_count:
            row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False))) + first_row
            raise StoreError(
                f"{source}: the image in row {row} has no bytes, only a path.",
                hint="embed the image files when writing: dataset.to_parquet() of the datasets library does",
            )
    contents: list[bytes] = column.to_pylist()
    return contents


def stacked(columns: Sequence[Any]) -> NumpyArray:
    """Return columns of numbers as float32, shape (n, columns)."""
    features = np.empty((len(columns[0]), len(columns)), dtype=np.float32)
    with np.errstate(over="ignore"):  # what becomes infinite is refused later, by id
        for i, column in enumerate(columns):
            features[:, i] = to_numpy(column)
    return features


def dense(column: Any, name: str, source: str) -> NumpyArray:
    """Return a column of lists, nested or not, as one float32 array of shape (n, ...).

    Raises
    ------
    PruneKitError
        If the lists differ in length, or hold nulls.
    """
    shape = [len(column)]
    while True:
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
        if not is_list(column.type):
            break
        lengths = np.unique(_lengths(column))
        if column.null_count or lengths.size != 1:
            raise PruneKitError(
                f"{source}: the lists of the column {name} must all have one length, and none be null; "
                f"got lengths from {lengths.min():.0f} to {lengths.max():.0f}.",
                hint="pad or cut the features to one length first",
            )
        shape.append(int(lengths[0]))
        column = column.flatten()
    _refuse_nulls_in_lists(column, name, source)
    with np.errstate(over="ignore"):  # what becomes infinite is refused later, by id
        return to_numpy(column).astype(np.float32).reshape(shape)


def padded(column: Any, name: str, source: str) -> NumpyArray:
    """Return a column of numbers as shape (n,), or of lists as shape (n, longest), filled up with 0.

    Whole numbers are int64, others float32. Lists of a fixed size keep it.

    Raises
    ------
    PruneKitError
        If the lists hold nulls.
    """
    if not is_list(column.type):
        return as_named_input(to_numpy(column), name, source)
    lengths = _lengths(column)
    flat = column.flatten()
    _refuse_nulls_in_lists(flat, name, source)
    values = as_named_input(to_numpy(flat), name, source)
    longest = int(lengths.max())
    if (lengths == longest).all():
        return values.reshape(len(lengths), longest)
    filled = np.zeros((len(lengths), longest), dtype=values.dtype)
    filled[np.arange(longest) < lengths[:, np.newaxis]] = values
    return filled


def _lengths(column: Any) -> NumpyArray:
    lengths: NumpyArray = column.value_lengths().to_numpy(zero_copy_only=False)
    return lengths


def _refuse_nulls_in_lists(column: Any, name: str, source: str) -> None:
    if column.null_count:
        raise PruneKitError(
            f"{source}: the lists of the column {name} must have no nulls; got {column.null_count}.",
            hint="fill in missing values, or leave these rows out",
        )
