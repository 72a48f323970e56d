"""One writer at a time: a lock that the operating system drops when its holder dies, however it dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import RunConflictError, StoreError

if sys.platform == "win32":
    import msvcrt

    def _acquire(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _acquire(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock on the file `path` (made where it is not there) inside the ``with`` block.

    Raises
    ------
    RunConflictError
        If another process holds it.
    StoreError
        If the file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"{path} cannot be made: {error.strerror}.") from error
    try:
        try:
            _acquire(descriptor)
        except OSError as error:
            raise RunConflictError(
                f"another command is writing to {path.parent}.",
                hint="wait until it ends, or give another --out",
            ) from error
        yield
    finally:
        os.close(descriptor)
