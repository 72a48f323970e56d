"""Parquet files in the Hugging Face image layout, or with features in list or numeric columns."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import PruneKitError, StoreError
from .parquet_decoders import make_decoder
from .parquet_files import common_schema, open_parquet, read_batches, reading, refuse_nulls
from .parquet_labels import read_column, read_labels
from .parquet_roles import find_roles
from .reader import BLOCK_BYTES, Digest, Inputs, InputSpec, Part

_READ_ROWS = 1 << 13  # the most that are read at a time, unless a batch has more
_SAMPLES = 16  # row groups of which the first rows are looked at
_SAMPLE_ROWS = 64


class _RowGroup(NamedTuple):
    start: int
    """The position of its first row in all files."""
    path: Path
    number: int
    """Which of its file's row groups it is."""
    metadata: Any


class ParquetReader:
    """Parquet files, one after the other, as one data set; see `Reader`.

    Parameters
    ----------
    files
        The files, in the order of reading.
    source
        What to call them all.
    image_size
        Resize the short side of images to it, and cut out the centre.
    input_column, label_column, needs_labels, one_array
        See `find_roles`.

    Raises
    ------
    StoreError
        If a file is not Parquet, is damaged, or differs in its columns from the first.
    PruneKitError
        If the columns of inputs and labels cannot be told, or hold nulls or what is neither.
    """

    def __init__(
        self,
        files: Sequence[Path],
        source: str,
        *,
        image_size: int | None,
        input_column: str | Sequence[str] | None,
        label_column: str | None,
        needs_labels: bool = True,
        one_array: bool = True,
    ) -> None:
        self._files = files
        self._image_size = image_size
        self.source = source
        self._schema = common_schema(files)
        self._roles = roles = find_roles(
            self._schema,
            source,
            input_column=input_column,
            label_column=label_column,
            needs_labels=needs_labels,
            one_array=one_array,
        )
        if image_size is not None and roles.kind != "images":
            raise PruneKitError(f"{source} has features, not images.", hint="leave image_size out")
        self._metadata = [open_parquet(path).metadata for path in files]
        self._rows = int(sum(each.num_rows for each in self._metadata))
        if not self._rows:
            raise StoreError(f"{source} has no rows.")
        self.labels: npt.NDArray[np.int64] | None = None
        self.class_names: tuple[str, ...] | None = None
        if roles.label is not None:
            self.labels, self.class_names = read_labels(files, self._schema, roles.label, source)
        self.ids = None if roles.id is None else read_column(files, roles.id, source)
        first = next(self._samples(_SAMPLE_ROWS))
        row_bytes = first.rows.nbytes // len(first.rows) + 1
        self._read_rows = min(_READ_ROWS, BLOCK_BYTES // row_bytes)
        self._decoder = make_decoder(
            roles, self._columns(first), source, image_size=image_size, schema=self._schema
        )
        self.block_rows = self._read_rows if self._decoder.joins else 1
        self.chunk_rows, self.workers = self._decoder.chunk_rows, self._decoder.workers

    def __len__(self) -> int:
        return self._rows

    def spec(self) -> InputSpec | dict[str, InputSpec]:
        """See `Reader.spec`; images are RGB if one of those looked at is."""
        return self._decoder.spec(self.decode(sample) for sample in self._samples(1))

    def parts(self, rows: int, /) -> Generator[Part]:
        """See `Reader.parts`."""
        start = 0
        block = rows * max(1, self._read_rows // rows)
        for batch in _of_equal_length(self._batches(batch_size=block), rows):
            yield Part(start, batch)
            start += len(batch)

    def decode(self, part: Part, /) -> Inputs:
        """See `Reader.decode`."""
        with reading(self.source):
            return self._decoder.decode(self._columns(part), part.start)

    def feed(self, digest: Digest, /) -> None:
        """See `Reader.feed`: what the files say of their row groups, and rows at the start of some."""
        schema = [f"{name} {self._schema.field(name).type}" for name in self._roles.inputs]
        digest.update(f"{self._roles.kind} {schema} {self._image_size}".encode())
        for group in self._groups():
            digest.update(f"{group.metadata.num_rows} {self._about(group.metadata)}".encode())
        sample_rows = 1 if self._roles.kind == "images" else _SAMPLE_ROWS
        for sample in self._samples(sample_rows):
            inputs = self.decode(sample)
            for array in inputs.values() if isinstance(inputs, dict) else [inputs]:
                digest.update(f"{array.dtype.str} {array.shape}".encode())
                digest.update(array.tobytes())

    def _columns(self, part: Part) -> list[Any]:
        columns = [part.rows.column(name) for name in self._roles.inputs]
        for column, name in zip(columns, self._roles.inputs, strict=True):
            refuse_nulls(column, name, self.source, part.start)
        return columns

    def _about(self, group: Any) -> list[object]:
        """What the metadata says of the inputs in a row group."""
        said: list[object] = []
        for column in map(group.column, self._leaves):
            said.append(column.total_uncompressed_size)
            if self._roles.kind != "images" and column.is_stats_set and column.statistics.has_min_max:
                said += [column.statistics.min, column.statistics.max]
        return said

    @cached_property
    def _leaves(self) -> list[int]:
        """Which columns of the file, where each leaf of a nested type is one, are inputs."""
        columns, starts = self._metadata[0].schema, tuple(f"{name}." for name in self._roles.inputs)
        return [i for i in range(len(columns)) if f"{columns.column(i).path}.".startswith(starts)]

    def _batches(self, **options: Any) -> Iterator[pa.RecordBatch]:
        for path in self._files:
            yield from read_batches(open_parquet(path), path, columns=[*self._roles.inputs], **options)

    def _samples(self, rows: int) -> Iterator[Part]:
        """Rows at the start of some row groups, the first among them."""
        groups = [group for group in self._groups() if group.metadata.num_rows]
        for at in np.unique(np.linspace(0, len(groups) - 1, _SAMPLES).astype(int)):
            start, path, number, _ = groups[at]
            options = {"columns": [*self._roles.inputs], "row_groups": [number], "batch_size": rows}
            yield Part(start, next(read_batches(open_parquet(path), path, **options)))

    def _groups(self) -> Iterator[_RowGroup]:
        start = 0
        for path, metadata in zip(self._files, self._metadata, strict=True):
            for number in range(metadata.num_row_groups):
                yield _RowGroup(start, path, number, metadata.row_group(number))
                start += metadata.row_group(number).num_rows


def _of_equal_length(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Cut and join batches so that each but the last has `rows` rows."""
    held: list[pa.RecordBatch] = []
    missing = rows
    for batch in batches:
        while len(batch) >= missing:
            yield _joined([*held, batch[:missing]])
            batch, held, missing = batch[missing:], [], rows
        if len(batch):
            held.append(batch)
            missing -= len(batch)
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    (whole,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return whole
