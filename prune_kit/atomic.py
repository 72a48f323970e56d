"""Files that appear whole or not at all: written aside, fsynced, renamed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import StoreError


@contextmanager
def atomic_path(path: str | Path, /) -> Iterator[Path]:
    """Give a path to write to, which takes the place of `path` when the block ends well.

    The temporary file lies in the same folder, so that the rename stays on one file system. Its name
    begins with a dot, which readers of Parquet folders skip, and ends with the name of `path`, so that
    writers that look at the suffix find it. It is removed if the block fails; only a killed process
    leaves one behind. What was at `path` before stays untouched until the rename.

    Parameters
    ----------
    path
        Where the file is to appear. Its folder must exist.

    Yields
    ------
    pathlib.Path
        Where the block must write the file, and close it.

    Raises
    ------
    StoreError
        If the file cannot be written (no such folder, a full disk, no permission), or the block wrote
        none. Any other exception of the block passes through.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise StoreError(
            f"cannot write {path}: there is no folder {path.parent}.",
            hint="make it first, or check the spelling",
        )
    if path.is_dir():
        raise StoreError(f"cannot write {path}: it is a folder.", hint="give the path of a file")
    # Absolute, for libraries take `a:b/c` for the address of a service.
    aside = path.absolute().with_name(f".tmp-{secrets.token_hex(6)}-{path.name}")
    try:
        yield aside
        if not aside.exists():
            raise StoreError(f"cannot write {path}: nothing was written to its temporary file {aside.name}.")
        fsync(aside)
        aside.replace(path)
        fsync(path.parent)
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error}.",
            hint="check the free space and the permissions; what was there before is unchanged",
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def fsync(path: Path) -> None:
    """Have the operating system put what it holds of a file or folder on the disk."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open folders
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
