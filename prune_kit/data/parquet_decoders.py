"""Rows of Parquet files as inputs: one class for each kind of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from ..arrays import NumpyArray
from ..errors import PruneKitError
from .images import CHUNK, FirstImage, decode_images, decoding_threads, stack_images
from .parquet_arrays import dense, encoded_images, padded, stacked
from .parquet_roles import Roles, is_list
from .reader import Inputs, InputSpec


class Decoder(Protocol):
    """What turns columns into inputs.

    Attributes
    ----------
    joins : bool
        Whether rows of several batches can be decoded together.
    chunk_rows, workers
        See `Reader`.
    """

    joins: bool
    chunk_rows: int | None
    workers: int

    def decode(self, columns: Sequence[Any], first_row: int, /) -> Inputs:
        """The inputs in rows of the input columns, which have no nulls."""
        ...

    def spec(self, samples: Iterator[Any], /) -> InputSpec | dict[str, InputSpec]:
        """What one example is, from some decoded rows, the first among them."""
        ...


def make_decoder(
    roles: Roles, first_rows: Sequence[Any], source: str, *, image_size: int | None, schema: pa.Schema
) -> Decoder:
    """Make the decoder of the input columns, of which the first rows are given."""
    if roles.kind == "images":
        return _Images(encoded_images(first_rows[0], source, 0), source, image_size)
    if roles.kind == "lists":
        return _Lists(first_rows[0], roles.inputs[0], source)
    if roles.kind == "numbers":
        return _Numbers(len(roles.inputs))
    return _Named({name: schema.field(name).type for name in roles.inputs}, source)


class _Images:
    joins = False

    def __init__(self, first: list[bytes], source: str, image_size: int | None) -> None:
        self._source = source
        self._image_size = image_size
        self.chunk_rows: int | None = CHUNK
        self.workers = decoding_threads(first)
        (image,) = decode_images(first[:1], [f"in row 0 of {source}"], image_size)
        self._first = FirstImage(image.shape[0], image.shape[1], "row 0")

    def decode(self, columns: Sequence[Any], first_row: int, /) -> NumpyArray:
        encoded = encoded_images(columns[0], self._source, first_row)
        rows = range(first_row, first_row + len(encoded))
        images = decode_images(encoded, [f"in row {row} of {self._source}" for row in rows], self._image_size)
        return stack_images(images, [f"row {row}" for row in rows], self._source, self._first)

    def spec(self, samples: Iterator[Any], /) -> InputSpec:
        return self._first.spec(samples)


class _Lists:
    joins = True
    chunk_rows: int | None = None
    workers = 1

    def __init__(self, first: Any, name: str, source: str) -> None:
        self._name = name
        self._source = source
        self._shape = dense(first[:1], name, source).shape[1:]

    def decode(self, columns: Sequence[Any], first_row: int, /) -> NumpyArray:
        features = dense(columns[0], self._name, self._source)
        shape = features.shape[1:]
        if shape != self._shape:
            raise PruneKitError(
                f"{self._source}: the feature lists must all have one length; "
                f"got shapes {self._shape} and {shape}.",
                hint="pad or cut the features to one length first",
            )
        return features

    def spec(self, samples: Iterator[Any], /) -> InputSpec:
        return InputSpec(self._shape, np.dtype(np.float32))


class _Numbers:
    joins = True
    chunk_rows: int | None = None
    workers = 1

    def __init__(self, count: int) -> None:
        self._count = count

    def decode(self, columns: Sequence[Any], first_row: int, /) -> NumpyArray:
        return stacked(columns)

    def spec(self, samples: Iterator[Any], /) -> InputSpec:
        return InputSpec((self._count,), np.dtype(np.float32))


class _Named:
    joins = False  # each batch is padded to its own longest
    chunk_rows: int | None = None
    workers = 1

    def __init__(self, types: dict[str, Any], source: str) -> None:
        self._types = types
        self._source = source

    def decode(self, columns: Sequence[Any], first_row: int, /) -> dict[str, NumpyArray]:
        return {
            name: padded(column, name, self._source)
            for name, column in zip(self._types, columns, strict=True)
        }

    def spec(self, samples: Iterator[Any], /) -> dict[str, InputSpec]:
        return {name: self._spec(name, array) for name, array in next(samples).items()}

    def _spec(self, name: str, first: NumpyArray) -> InputSpec:
        kind = self._types[name]
        is_ragged = is_list(kind) and not pa.types.is_fixed_size_list(kind)
        return InputSpec((None,) if is_ragged else first.shape[1:], first.dtype)
