"""Folders that appear whole or not at all: written aside, fsynced, renamed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from .atomic import fsync
from .errors import StoreError

_FSYNCS_AT_A_TIME = 16  # a journal writes those that wait together in one go


@contextmanager
def atomic_folder(path: str | Path, /) -> Iterator[Path]:
    """Give an empty folder to write into, which becomes `path` when the block ends well.

    The temporary folder lies beside it, so that the rename stays on one file system, and its name begins
    with a dot. It is removed if the block fails; only a killed process leaves one behind.

    Parameters
    ----------
    path
        Where the folder is to appear: see `check_vacant`.

    Yields
    ------
    pathlib.Path
        Where the block must write its files, and close them.

    Raises
    ------
    StoreError
        If `path` is taken, or the folder cannot be written (a full disk, no permission). Any exception of
        the block that is no OSError passes through.
    """
    check_vacant(path)
    final = Path(path).resolve()  # a link to an empty folder stays a link
    aside = final.with_name(f".tmp-{secrets.token_hex(6)}-{final.name}")
    try:
        aside.mkdir()
        yield aside
        with ThreadPoolExecutor(_FSYNCS_AT_A_TIME) as pool:
            for _ in pool.map(fsync, [*aside.rglob("*"), aside]):
                pass
        if os.name == "nt" and final.is_dir():  # elsewhere a rename takes the place of an empty folder
            final.rmdir()
        aside.rename(final)
        fsync(final.parent)
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error}.",
            hint="check the free space and the permissions; nothing was left behind",
        ) from error
    finally:
        if aside.exists():
            shutil.rmtree(aside)


def check_vacant(path: str | Path, /) -> None:
    """Raise StoreError unless a new folder `path` can be made, or is there and empty.

    Raises
    ------
    StoreError
        If there is a file or a folder with something in it, if it is a mount point, or if its parent
        folder is not there.
    """
    final = Path(path).resolve()
    if not final.parent.is_dir():
        raise StoreError(
            f"cannot write {path}: there is no folder {final.parent}.",
            hint="make it first, or check the spelling",
        )
    if final.is_dir():
        if any(final.iterdir()):
            raise StoreError(
                f"cannot write {path}: the folder is there and not empty.",
                hint="give a new folder; nothing is ever written over",
            )
        if final.is_mount():
            raise StoreError(
                f"cannot write {path}: it is where a file system is mounted, and cannot be replaced.",
                hint=f"give a new folder in it, such as {Path(path) / 'pruned'}",
            )
    elif final.exists():
        raise StoreError(f"cannot write {path}: it is a file.", hint="give the path of a new folder")
