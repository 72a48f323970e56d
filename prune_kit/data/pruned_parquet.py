"""The kept rows of Parquet files, written anew row group by row group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import PruneKitError, StoreError
from ..ids import check_ids
from .columns import LABEL_NAMES, listed
from .find import is_part_name
from .parquet_files import ID_COLUMN, column_values, common_schema, open_parquet, read_batches
from .parquet_roles import is_text

_BATCH_BYTES = 1 << 24
_GROUP_BYTES = 1 << 26  # what a row group may have in memory before it is written


class ParquetFiles:
    """Parquet files that are one data set, of which a part is to be written.

    Parameters
    ----------
    files
        The files, in the order of reading.
    source
        What to call them all.

    Attributes
    ----------
    ids : NumPy array of shape (n,)
        The column ``id``, else positions over all files.
    """

    def __init__(self, files: Sequence[Path], source: str) -> None:
        self._files = files
        self._source = source
        names = [path.name for path in files]
        if names != sorted(set(names)) or not all(map(is_part_name, names)):
            raise PruneKitError(
                f"the files of {source} must keep their order and names in one folder; got {listed(names)}.",
                hint="names must differ, sort as the paths do, end in .parquet, and not begin with . or _",
            )
        self._schema = common_schema(files)
        self._rows = [open_parquet(path).metadata.num_rows for path in files]
        n = sum(self._rows)
        if not n:
            raise StoreError(f"{source} has no rows.")
        self.ids = np.arange(n)
        if ID_COLUMN in self._schema.names:
            parts, first_row = [], 0
            for batch in self._column(ID_COLUMN):
                parts.append(column_values(batch, ID_COLUMN, source, first_row))
                first_row += len(batch)
            self.ids = check_ids(np.concatenate(parts), name=f"ids of {source}")

    def write(self, is_kept: npt.NDArray[np.bool_], folder: Path) -> tuple[str, ...]:
        """Write the kept rows to an empty folder, and return the classes that have none.

        Raises
        ------
        StoreError
            If a file is damaged.
        OSError
            If a file cannot be written.
        """
        ends = np.cumsum(self._rows)[:-1]
        for path, kept_here in zip(self._files, np.split(is_kept, ends), strict=True):
            if kept_here.any():
                _write_kept(path, kept_here, folder / path.name)
        return self._vanished(is_kept)

    def _column(self, name: str) -> Iterator[pa.RecordBatch]:
        for path in self._files:
            yield from read_batches(open_parquet(path), path, columns=[name])

    def _vanished(self, is_kept: npt.NDArray[np.bool_]) -> tuple[str, ...]:
        label = next((name for name in LABEL_NAMES if name in self._schema.names), None)
        if label is None or not is_text(self._schema.field(label).type):
            return ()  # class indices stay what they are
        before, after, start = set[str](), set[str](), 0
        for batch in self._column(label):
            texts = batch.column(label).cast(pa.string())
            kept_here = pa.array(is_kept[start : start + len(batch)])
            before |= set(pc.unique(texts).to_pylist())
            after |= set(pc.unique(texts.filter(kept_here)).to_pylist())
            start += len(batch)
        return tuple(sorted(before - after - {None}))


def _write_kept(path: Path, is_kept: npt.NDArray[np.bool_], target: Path) -> None:
    file = open_parquet(path, page_checksum_verification=True)
    metadata, schema = file.metadata, file.schema_arrow
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    group_rows = max(group.num_rows for group in groups)
    bytes_per_row = sum(group.total_byte_size for group in groups) // metadata.num_rows + 1
    batch_rows = max(1, min(group_rows, _BATCH_BYTES // bytes_per_row))
    with pq.ParquetWriter(target, schema, compression=_compression(groups[0], schema)) as writer:
        pending = schema.empty_table()
        start = 0
        for batch in read_batches(file, path, batch_size=batch_rows):
            pending = pa.concat_tables([pending, _kept_rows(batch, is_kept[start : start + len(batch)])])
            start += len(batch)
            if pending.num_rows >= group_rows or pending.nbytes >= _GROUP_BYTES:
                writer.write_table(pending.slice(0, group_rows), row_group_size=group_rows)
                pending = pending.slice(group_rows)
        if pending.num_rows:
            writer.write_table(pending, row_group_size=group_rows)


def _kept_rows(batch: pa.RecordBatch, is_kept: npt.NDArray[np.bool_]) -> pa.Table:
    try:
        return pa.Table.from_batches([batch.filter(pa.array(is_kept))])
    except pa.ArrowNotImplementedError:  # of string views, which Polars writes; slower, of any type
        runs = np.flatnonzero(np.diff(is_kept, prepend=False, append=False)).reshape(-1, 2).tolist()
        slices = [batch.slice(start, end - start) for start, end in runs]
        return pa.Table.from_batches(slices, batch.schema).combine_chunks()


def _compression(group: Any, schema: pa.Schema) -> str | dict[str, str]:
    """Return the codec of the columns, or of each column where they differ."""
    codecs: list[str] = [
        group.column(i).compression.replace("UNCOMPRESSED", "NONE") for i in range(group.num_columns)
    ]
    if len(set(codecs)) == 1:
        return codecs[0]
    empty = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), empty)
    columns = pq.ParquetFile(pa.BufferReader(empty.getvalue())).schema
    # By place: other writers give the values of lists other names.
    return {columns.column(i).path: codec for i, codec in enumerate(codecs)}
