"""Which columns of Parquet files are images, features, labels and ids: by option, name and type."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from ..errors import PruneKitError
from .columns import (
    FEATURE_NAMES,
    IMAGE_NAMES,
    LABEL_NAMES,
    chosen_inputs,
    chosen_or_usual,
    is_index,
    is_label_like,
    label_name,
    listed,
    only_or_usual,
)
from .parquet_files import ID_COLUMN, typed_names


@dataclass(frozen=True)
class Roles:
    """Which columns are what."""

    kind: Literal["images", "lists", "numbers", "named"]
    inputs: tuple[str, ...]
    label: str | None
    id: str | None


def find_roles(
    schema: pa.Schema,
    source: str,
    *,
    input_column: str | Sequence[str] | None,
    label_column: str | None,
    needs_labels: bool,
    one_array: bool,
) -> Roles:
    """Find the columns.

    Parameters
    ----------
    schema
        Of the files.
    source
        What to call them.
    input_column, label_column
        What the user chose; several inputs are given by name.
    needs_labels
        Whether there must be a column of labels.
    one_array
        Whether the inputs must be one array: columns of tokenised text are then no special ones.

    Raises
    ------
    PruneKitError
        If the columns of inputs and labels cannot be told, or cannot be what they should be.
    """
    names = schema.names
    label = label_name(label_column, LABEL_NAMES, names, needed=needs_labels, source=source)
    chosen = chosen_inputs(input_column, names, one_array=one_array, source=source)
    taken = (label, *(chosen if isinstance(chosen, tuple) else (chosen,)))
    ids = ID_COLUMN if ID_COLUMN in names and ID_COLUMN not in taken else None
    if isinstance(chosen, tuple):
        _check_named(schema, chosen, source)
        return Roles("named", chosen, label, ids)
    if chosen is not None:
        chosen_or_usual(chosen, (), names, what="inputs", option="input_column", source=source)
        candidates = [chosen]
    else:
        candidates = [
            name
            for name in names
            if name not in (label, ids) and not is_label_like(name) and not is_index(name)
        ]
    types = {name: schema.field(name).type for name in candidates}
    images = [name for name in candidates if _is_image(types[name])]
    if image := only_or_usual(images, IMAGE_NAMES, what="image", option="input_column", source=source):
        return Roles("images", (image,), label, ids)
    lists = [name for name in candidates if _is_list_of_numbers(types[name])]
    if features := only_or_usual(lists, FEATURE_NAMES, what="features", option="input_column", source=source):
        return Roles("lists", (features,), label, ids)
    if numbers := tuple(name for name in candidates if _is_number(types[name])):
        return Roles("numbers", numbers, label, ids)
    raise PruneKitError(
        f"{source} has no column of images (bytes), of lists of numbers, or of numbers, beside its labels; "
        f"it has {listed(typed_names(schema))}.",
        hint="images are stored as in the Hugging Face layout: struct<bytes: binary, path: string>",
    )


def class_names(schema: pa.Schema, label: str) -> list[str] | None:
    """Return the names of a Hugging Face ClassLabel, which are in the schema's metadata."""
    try:
        metadata = json.loads((schema.metadata or {})[b"huggingface"])
        names = metadata["info"]["features"][label]["names"]
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError):
        return None  # not written by Hugging Face's library, or the labels are plain integers
    return [str(name) for name in names] if isinstance(names, list) else None


def is_list(kind: Any) -> bool:
    """Whether a type is one of lists, of whatever length."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_text(kind: Any) -> bool:
    """Whether a type is one of strings, perhaps in a dictionary."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _check_named(schema: pa.Schema, names: Sequence[str], source: str) -> None:
    for name in names:
        kind = schema.field(name).type
        if not (_is_number(kind) or (is_list(kind) and _is_number(kind.value_type))):
            raise PruneKitError(
                f"{source}: an input among several must be a column of numbers or of lists of numbers; "
                f"{name} is {kind}.",
                hint="name one column alone for images and nested lists",
            )


def _is_image(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _is_binary(kind.field(index).type)
    return _is_binary(kind)


def _is_binary(kind: Any) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_list_of_numbers(kind: Any) -> bool:
    if isinstance(kind, pa.BaseExtensionType):  # Hugging Face's Array2D, and tensors
        kind = kind.storage_type
    return is_list(kind) and (_is_number(kind.value_type) or _is_list_of_numbers(kind.value_type))


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
