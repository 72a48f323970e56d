"""The kit's own Parquet files: whole or not at all, with checksums, and their provenance in them as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .atomic import atomic_path
from .errors import PruneKitError, StoreError

if TYPE_CHECKING:
    import pyarrow as pa

_METADATA_KEY = b"prune_kit"


def with_provenance(table: pa.Table, provenance: Mapping[str, Any], /) -> pa.Table:
    """The table with this provenance as its metadata; PruneKitError if JSON cannot hold it."""
    try:
        content = json.dumps(dict(provenance), sort_keys=True)
    except (TypeError, ValueError) as error:
        raise PruneKitError(f"`provenance` must hold JSON values alone: {error}.") from error
    return table.replace_schema_metadata({_METADATA_KEY: content.encode()})


def provenance_of(table: pa.Table, path: Path, /) -> dict[str, Any]:
    """The provenance in a table that was read from `path`, empty where there is none."""
    try:
        provenance = json.loads((table.schema.metadata or {}).get(_METADATA_KEY, b"{}"))
    except ValueError as error:
        raise StoreError(f"{path}: its provenance is damaged: {error}.") from error
    if not isinstance(provenance, dict):
        raise StoreError(f"{path}: its provenance must be a JSON object; got {type(provenance).__name__}.")
    return provenance


def write_table(table: pa.Table, path: str | Path, /) -> None:
    """Write the file; the same table gives the same bytes. StoreError leaves what was there before."""
    import pyarrow.parquet as pq

    with atomic_path(path) as aside:
        pq.write_table(table, aside, compression="zstd", write_page_checksum=True)


def read_table(
    path: Path, /, *, columns: Collection[str] | None = None, where_from: str | None = None
) -> pa.Table:
    """Read those of `columns` that are there, or all; StoreError if the file is missing or damaged.

    `where_from` is the hint where there is no file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # A memory map or partitioning inferred from the path would add columns: read the one file.
        file = pq.ParquetFile(path.absolute(), page_checksum_verification=True)
        names = [name for name in file.schema_arrow.names if columns is None or name in columns]
        table = file.read(columns=names)
        table.validate(full=True)  # damaged bytes in strings too
    except FileNotFoundError as error:
        raise StoreError(f"there is no file {path}.", hint=where_from) from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{path} is not a readable Parquet file: {error}.",
            hint="it may be cut short or of another kind; make it again",
        ) from error
    return table
