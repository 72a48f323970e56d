"""Examples of Parquet files as they are shown: images one by one, texts, else what is read for training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..arrays import NumpyArray
from ..classes import Positions
from ..data import open_examples
from ..data.columns import is_index, is_label_like
from ..data.parquet_files import ID_COLUMN, common_schema, open_parquet, read_batches
from ..data.parquet_labels import read_column
from ..data.parquet_roles import Roles, find_roles, is_text
from ..errors import PruneKitError
from .look import Look, missing, of_text
from .looks import image_look, of_stream, places_of

_USUAL_TEXTS = ("text", "sentence", "sentence1", "question", "premise", "content", "review", "title")


def of_parquet(files: Sequence[Path], source: str, ids: NumpyArray, /) -> list[Look]:
    """Look at some rows; see `looks_at`.

    A column of text under a usual name is shown, with the other columns of text, rather than its tokens or
    other numbers; whatever its name, where there is nothing else. Images come first.
    """
    schema = common_schema(files)
    texts = _texts(schema)
    roles = _roles(schema, source, may_lack=bool(texts))
    is_image = roles is not None and roles.kind == "images"
    is_texts = roles is None or not {name.lower() for name in texts}.isdisjoint(_USUAL_TEXTS)
    if not is_image and not is_texts and roles is not None:
        names = roles.inputs if roles.kind == "numbers" else None
        return of_stream(open_examples(source, needs_labels=False), ids, names)
    rows = sum(open_parquet(path).metadata.num_rows for path in files)
    own = read_column(files, ID_COLUMN, source) if ID_COLUMN in schema.names else np.arange(rows)
    places = places_of(own, ids, source)
    if is_image and roles is not None:
        return _looks(files, roles.inputs, places, lambda values, row: _image(values[0], f"in row {row}"))
    return _looks(files, texts, places, lambda values, row: of_text(list(zip(texts, values, strict=True))))


def _texts(schema: pa.Schema) -> list[str]:
    return [
        field.name
        for field in schema
        if is_text(field.type)
        and field.name != ID_COLUMN
        and not is_label_like(field.name)
        and not is_index(field.name)
    ]


def _roles(schema: pa.Schema, source: str, *, may_lack: bool) -> Roles | None:
    """What the columns are; None where there are texts alone, which are no inputs of the kit's."""
    try:
        return find_roles(
            schema, source, input_column=None, label_column=None, needs_labels=False, one_array=True
        )
    except PruneKitError:
        if may_lack:
            return None
        raise


def _looks(
    files: Sequence[Path], columns: Sequence[str], places: Positions, look: Callable[[list[Any], int], Look]
) -> list[Look]:
    """The looks at rows, each read once, in the order of the files."""
    looks = [missing("the data has no example of this id")] * len(places)
    wanted = np.argsort(places, kind="stable")
    wanted = wanted[places[wanted] >= 0]
    for start, batch in _batches(files, columns):
        first, last = np.searchsorted(places[wanted], (start, start + len(batch)))
        for k in wanted[first:last].tolist():
            row = int(places[k])
            looks[k] = look([batch.column(name)[row - start].as_py() for name in columns], row)
    return looks


def _batches(files: Sequence[Path], columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    start = 0
    for path in files:
        for batch in read_batches(open_parquet(path), path, columns=list(columns), batch_size=1024):
            yield start, batch
            start += len(batch)


def _image(value: Any, name: str) -> Look:
    encoded = value.get("bytes") if isinstance(value, dict) else value
    return missing("the row holds no image") if encoded is None else image_look(encoded, name)
