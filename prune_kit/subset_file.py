"""Files that name a subset by its ids: .parquet, .txt, .npy, .csv."""

from __future__ import annotations

import csv
import re
import tokenize
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .arrays import NumpyArray
from .atomic import atomic_path
from .errors import PruneKitError, StoreError
from .ids import check_ids

_COLUMN = "id"
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")


def read_ids(path: str | Path, /) -> NumpyArray:
    """Read the ids that a file names.

    Parameters
    ----------
    path
        `.parquet` or `.csv` with a column `id`, others are passed over; `.txt` with one id a line; `.npy`.

    Returns
    -------
    numpy.ndarray of shape (k,)
        int64, or strings, in the order of the file. From text files, integers if all are written as
        integers, without leading zeros.

    Raises
    ------
    StoreError
        If the file is not there, not what its suffix claims, damaged, or names no id.
    PruneKitError
        If an id is there twice, or an id is neither an integer nor a string.
    """
    path = Path(path)
    read = _format(path)[0]
    if not path.is_file():
        raise StoreError(f"there is no file {path}.", hint="check the spelling")
    ids = read(path)
    if ids.size == 0:
        raise StoreError(f"{path} names no ids.", hint="is it the right file, and complete?")
    return check_ids(ids, name=f"ids in {path}")


def write_ids(path: str | Path, ids: object, /) -> None:
    """Write ids to a file of the kind its suffix says, whole or not at all.

    Parameters
    ----------
    path
        `.parquet` or `.csv` (column `id`), `.txt` (one id a line) or `.npy`. Replaced if it is there.
    ids
        Shape (k,), k at least 1: integers or strings, each once.

    Raises
    ------
    PruneKitError
        If the ids are not such, or could not be told apart again in that kind of file.
    StoreError
        If the file cannot be written.
    """
    path = Path(path)
    write = _format(path)[1]
    checked = check_ids(ids)
    if checked.size == 0:
        raise PruneKitError(f"there are no ids to write to {path}.", hint="keep at least one example")
    with atomic_path(path) as aside:
        write(aside, checked)


def _read_parquet(path: Path) -> NumpyArray:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(path.absolute())
        names = opened.schema_arrow.names
        column = opened.read(columns=[_COLUMN]).column(_COLUMN) if _COLUMN in names else None
        values = None if column is None or column.null_count else np.asarray(column.to_numpy())
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise StoreError(
            f"{path} is not a readable Parquet file: {error}", hint="is the file complete?"
        ) from error
    if column is None:
        raise StoreError(f"{path} has no column {_COLUMN!r}; it has {', '.join(names) or 'none'}.")
    if values is None:
        raise StoreError(f"{path}: the column {_COLUMN} must have no nulls; got {column.null_count}.")
    return values


def _write_parquet(path: Path, ids: NumpyArray) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = pa.array(ids.tolist(), pa.string()) if ids.dtype.kind in "UT" else pa.array(ids)
    pq.write_table(pa.table({_COLUMN: column}), path)


def _read_text(path: Path) -> NumpyArray:
    return _parse([line for line in _text(path).splitlines() if line])


def _write_text(path: Path, ids: NumpyArray) -> None:
    lines = _as_text(ids, path)
    if any(line.splitlines() != [line] for line in lines):
        raise PruneKitError(f"ids with line breaks cannot be written to {path.suffix}.", hint="use .parquet")
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _read_csv(path: Path) -> NumpyArray:
    _text(path)
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file, strict=True)
        try:
            names = rows.fieldnames or []
            if _COLUMN not in names:
                raise StoreError(f"{path} has no column {_COLUMN!r}; it has {', '.join(names) or 'none'}.")
            values = [row[_COLUMN] for row in rows]
        except csv.Error as error:
            raise StoreError(f"{path} is not readable CSV: {error}.", hint="is the file complete?") from error
    if any(not value for value in values):
        raise StoreError(f"{path}: the column {_COLUMN} must have no gaps.")
    return _parse(values)


def _write_csv(path: Path, ids: NumpyArray) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([_COLUMN])
        writer.writerows([text] for text in _as_text(ids, path))


def _read_npy(path: Path) -> NumpyArray:
    try:
        with path.open("rb") as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    except (OSError, EOFError, ValueError, tokenize.TokenError) as error:
        raise StoreError(
            f"{path} is not a readable .npy file: {error}.", hint="is the file complete?"
        ) from error


def _write_npy(path: Path, ids: NumpyArray) -> None:
    with path.open("wb") as file:  # given a path, NumPy changes a suffix like .NPY
        np.save(file, ids.astype(str) if ids.dtype.kind == "T" else ids, allow_pickle=False)


_FORMATS: dict[str, tuple[Callable[[Path], NumpyArray], Callable[[Path, NumpyArray], None]]] = {
    ".parquet": (_read_parquet, _write_parquet),
    ".txt": (_read_text, _write_text),
    ".npy": (_read_npy, _write_npy),
    ".csv": (_read_csv, _write_csv),
}


def _format(path: Path) -> tuple[Callable[[Path], NumpyArray], Callable[[Path, NumpyArray], None]]:
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise PruneKitError(
            f"a file of ids must end in {', '.join(_FORMATS)}; got {path.name!r}.",
            hint="the suffix says how the ids are written",
        )
    return _FORMATS[suffix]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise StoreError(f"{path} is not UTF-8 text: {error}.", hint="is it another kind of file?") from error


def _as_text(ids: NumpyArray, path: Path) -> list[str]:
    texts = [str(name) for name in ids.tolist()]
    if ids.dtype.kind in "UT" and any(not text for text in texts):
        raise PruneKitError(f"an empty id cannot be written to {path.suffix}.", hint="use .parquet")
    if ids.dtype.kind in "UT" and _are_integers(texts):
        raise PruneKitError(
            f"strings that are all integers would be read back from {path.suffix} as integers.",
            hint="use .parquet, or make the ids integers",
        )
    return texts


def _are_integers(texts: list[str]) -> bool:
    """Whether all are written as Python writes an int64, so that reading and writing loses nothing."""
    limits = np.iinfo(np.int64)
    return all(_INTEGER.fullmatch(text) and limits.min <= int(text) <= limits.max for text in texts)


def _parse(texts: list[str]) -> NumpyArray:
    if _are_integers(texts):
        return np.array([int(text) for text in texts], dtype=np.int64)
    return np.array(texts)
