"""Parquet files in the Hugging Face image layout, or with features in list or numeric columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from ..arrays import NumpyArray
from ..errors import PruneKitError, StoreError
from .columns import (
    FEATURE_NAMES,
    IMAGE_NAMES,
    LABEL_NAMES,
    chosen_or_usual,
    is_index,
    is_label_like,
    listed,
    only_or_usual,
)
from .examples import Examples
from .images import decode_images, stack_images
from .labels import class_indices
from .parquet_files import (
    ID_COLUMN,
    column_values,
    common_schema,
    open_parquet,
    read_batches,
    reading,
    refuse_nulls,
    to_numpy,
    typed_names,
)

_BATCH_ROWS = 1024  # so that the encoded images of only so many rows are held at a time


@dataclass(frozen=True)
class _Roles:
    """Which columns are what."""

    kind: Literal["images", "lists", "numbers"]
    inputs: tuple[str, ...]
    label: str
    id: str | None

    @property
    def all(self) -> list[str]:
        return list(dict.fromkeys((*self.inputs, self.label, *((self.id,) if self.id else ()))))


def load_parquet(
    files: Sequence[Path],
    source: str,
    *,
    image_size: int | None,
    input_column: str | None,
    label_column: str | None,
) -> Examples:
    """Load Parquet files, one after the other, as one data set.

    Raises
    ------
    StoreError
        If a file is not Parquet, is damaged, or differs in its columns from the first.
    PruneKitError
        If the columns of inputs and labels cannot be told, or hold nulls or what is neither.
    """
    schema = common_schema(files)
    roles = _find_roles(schema, source, input_column, label_column)
    if image_size is not None and roles.kind != "images":
        raise PruneKitError(f"{source} has features, not images.", hint="leave image_size out")
    inputs: list[NumpyArray] = []
    labels: list[NumpyArray] = []
    ids: list[NumpyArray] = []
    rows = 0
    for batch in _batches(files, roles):
        with reading(source):  # Arrow checks strings only when they are converted
            inputs.extend(_read_inputs(batch, roles, source, rows, image_size))
            labels.append(column_values(batch, roles.label, source, rows))
            ids.append(_read_ids(batch, roles, source, rows))
        rows += len(batch)
    if not rows:
        raise StoreError(f"{source} has no rows.")
    indices, class_names = class_indices(np.concatenate(labels), _class_names(schema, roles.label), source)
    if roles.kind == "images":
        stacked = stack_images(inputs, [f"row {row}" for row in range(rows)], source)
    else:
        stacked = _concatenate(inputs, source)
    return Examples(stacked, indices, np.concatenate(ids), class_names, source)


def _read_inputs(
    batch: pa.RecordBatch, roles: _Roles, source: str, first_row: int, image_size: int | None
) -> list[NumpyArray]:
    """Return the images of a batch one by one, or its features as one array."""
    columns: list[Any] = [batch.column(name) for name in roles.inputs]
    for column, name in zip(columns, roles.inputs, strict=True):
        refuse_nulls(column, name, source, first_row)
    if roles.kind == "images":
        names = [f"in row {row} of {source}" for row in range(first_row, first_row + len(batch))]
        return decode_images(_encoded(columns[0], source, first_row), names, image_size)
    if roles.kind == "lists":
        return [_dense(columns[0], roles.inputs[0], source)]
    return [np.column_stack([_to_float32(column) for column in columns])]


def _read_ids(batch: pa.RecordBatch, roles: _Roles, source: str, first_row: int) -> NumpyArray:
    if roles.id is None:
        return np.arange(first_row, first_row + len(batch))
    return column_values(batch, roles.id, source, first_row)


def _batches(files: Sequence[Path], roles: _Roles) -> Iterator[pa.RecordBatch]:
    for path in files:
        yield from read_batches(open_parquet(path), path, batch_size=_BATCH_ROWS, columns=roles.all)


def _find_roles(schema: pa.Schema, source: str, input_column: str | None, label_column: str | None) -> _Roles:
    names = schema.names
    label = chosen_or_usual(
        label_column, LABEL_NAMES, names, what="labels", option="label_column", source=source
    )
    ids = ID_COLUMN if ID_COLUMN in names and input_column != ID_COLUMN and label != ID_COLUMN else None
    if input_column is not None:
        chosen_or_usual(input_column, (), names, what="inputs", option="input_column", source=source)
        candidates = [input_column]
    else:
        candidates = [
            name
            for name in names
            if name not in (label, ids) and not is_label_like(name) and not is_index(name)
        ]
    types = {name: schema.field(name).type for name in candidates}
    images = [name for name in candidates if _is_image(types[name])]
    if image := only_or_usual(images, IMAGE_NAMES, what="image", option="input_column", source=source):
        return _Roles("images", (image,), label, ids)
    lists = [name for name in candidates if _is_list_of_numbers(types[name])]
    if features := only_or_usual(lists, FEATURE_NAMES, what="features", option="input_column", source=source):
        return _Roles("lists", (features,), label, ids)
    if numbers := tuple(name for name in candidates if _is_number(types[name])):
        return _Roles("numbers", numbers, label, ids)
    raise PruneKitError(
        f"{source} has no column of images (bytes), of lists of numbers, or of numbers, beside its labels; "
        f"it has {listed(typed_names(schema))}.",
        hint="images are stored as in the Hugging Face layout: struct<bytes: binary, path: string>",
    )


def _is_image(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _is_binary(kind.field(index).type)
    return _is_binary(kind)


def _is_binary(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_list_of_numbers(kind: Any) -> bool:
    if isinstance(kind, pa.BaseExtensionType):  # Hugging Face's Array2D, and tensors
        kind = kind.storage_type
    return _is_list(kind) and (_is_number(kind.value_type) or _is_list_of_numbers(kind.value_type))


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _class_names(schema: pa.Schema, label: str) -> list[str] | None:
    """Return the names of a Hugging Face ClassLabel, which are in the schema's metadata."""
    try:
        metadata = json.loads((schema.metadata or {})[b"huggingface"])
        names = metadata["info"]["features"][label]["names"]
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError):
        return None  # not written by Hugging Face's library, or the labels are plain integers
    return [str(name) for name in names] if isinstance(names, list) else None


def _encoded(column: Any, source: str, first_row: int) -> list[bytes]:
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


def _dense(column: Any, name: str, source: str) -> NumpyArray:
    """Return a column of lists, nested or not, as one float32 array of shape (n, ...)."""
    shape = [len(column)]
    while True:
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
        if not _is_list(column.type):
            break
        lengths = np.unique(column.value_lengths().to_numpy(zero_copy_only=False))
        if column.null_count or lengths.size != 1:
            raise PruneKitError(
                f"{source}: the lists of the column {name} must all have one length, and none be null; "
                f"got lengths from {lengths.min():.0f} to {lengths.max():.0f}.",
                hint="pad or cut the features to one length first",
            )
        shape.append(int(lengths[0]))
        column = column.flatten()
    if column.null_count:
        raise PruneKitError(
            f"{source}: the lists of the column {name} must have no nulls; got {column.null_count}.",
            hint="fill in missing values, or leave these rows out",
        )
    return _to_float32(column).reshape(shape)


def _to_float32(column: Any) -> NumpyArray:
    with np.errstate(over="ignore"):  # what becomes infinite is refused by Examples
        return to_numpy(column).astype(np.float32)


def _concatenate(parts: list[NumpyArray], source: str) -> NumpyArray:
    shapes = sorted({part.shape[1:] for part in parts})
    if len(shapes) > 1:
        raise PruneKitError(
            f"{source}: the feature lists must all have one length; got shapes {shapes[0]} and {shapes[-1]}.",
            hint="pad or cut the features to one length first",
        )
    return np.concatenate(parts)
