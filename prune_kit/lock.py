"""One writer at a time: a lock that the operating system drops when its holder dies, however it dies."""

from __future__ import annotations

import os
import sys
import time
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


_SECONDS_BETWEEN_TRIES = 0.05


@contextmanager
def exclusive_lock(path: Path, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock on the file `path` (made where it is not there) inside the ``with`` block.

    Parameters
    ----------
    path
        The file.
    wait
        Seconds to wait for another process that holds it.

    Raises
    ------
    RunConflictError
        If another process holds it all that time.
    StoreError
        If the file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"{path} cannot be made: {error.strerror}.") from error
    try:
        deadline = time.monotonic() + wait
        while True:
            try:
                _acquire(descriptor)
                break
            except OSError as error:
                if time.monotonic() >= deadline:
                    raise RunConflictError(
                        f"another command is writing to {path.parent}.",
                        hint="wait until it ends, or give another --out",
                    ) from error
            time.sleep(_SECONDS_BETWEEN_TRIES)  # systems know no lock with a time limit
        yield
    finally:
        os.close(descriptor)
