"""Importing TensorFlow without its notes on how it was built, which no setting of its own turns off."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_NOTES = (b"oneDNN custom operations are on", b"before absl::InitializeLog()")


@contextmanager
def without_notes() -> Iterator[None]:
    """Hold back what is written to stderr inside the block; pass on all but the notes after it.

    They are written by C++ code straight to the file descriptor. Where that is not open, nothing is held.
    """
    sys.stderr.flush()
    try:
        stderr = os.dup(2)
    except OSError:
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            for line in held:
                if not any(note in line for note in _NOTES):
                    os.write(2, line)
