"""Parquet files of plain columns, whole or not at all, their provenance with them as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .arrays import NumpyArray
from .errors import StoreError
from .parquet_tables import provenance_of, read_table, with_provenance, write_table


def write_columns(path: str | Path, columns: Mapping[str, Any], provenance: Mapping[str, Any], /) -> None:
    """Write columns of one length; the same content gives the same bytes.

    Raises
    ------
    StoreError
        If the file cannot be written; what was there before stays then.
    """
    import pyarrow as pa

    write_table(with_provenance(pa.table(dict(columns)), provenance), path)


def read_columns(
    path: str | Path, /, *, names: tuple[str, ...], made_by: str
) -> tuple[dict[str, NumpyArray], dict[str, Any]]:
    """Read the columns `names`, in this order, and the provenance.

    Raises
    ------
    StoreError
        If the file is missing, damaged, or lacks one of them; `made_by` is the command that makes it.
    """
    path = Path(path)
    table = read_table(path, columns=names, where_from=f"{made_by} makes it")
    if missing := [name for name in names if name not in table.column_names]:
        raise StoreError(f"{path} lacks the columns {', '.join(missing)}.", hint=f"{made_by} makes it")
    return {name: table[name].to_numpy() for name in names}, provenance_of(table, path)
