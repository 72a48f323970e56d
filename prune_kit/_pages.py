"""Pages of memory-mapped files, handed back once read, so that a large file does not fill memory."""

from __future__ import annotations

import mmap

import numpy as np

from .arrays import NumpyArray


class PageRelease:
    """Hands back the pages under rows of `values` if they are a mapped file, else does nothing.

    The file is not touched, and pages changed by the user are kept: copy-on-write maps, whose changes exist
    in memory alone, are left as they are.
    """

    def __init__(self, values: NumpyArray) -> None:
        self.values = values
        self.map = _shared_map(values) if values.flags.c_contiguous else None

    def release(self, start: int, stop: int) -> None:
        """Hand back the whole pages between rows `start` and `stop`."""
        if self.map is None:
            return
        low, high = np.lib.array_utils.byte_bounds(self.values[start:stop])
        base = np.frombuffer(self.map, np.uint8).ctypes.data
        first = -(-(low - base) // mmap.PAGESIZE) * mmap.PAGESIZE
        last = (high - base) // mmap.PAGESIZE * mmap.PAGESIZE
        if last > first:
            self.map.madvise(mmap.MADV_DONTNEED, first, last - first)


def _shared_map(values: NumpyArray) -> mmap.mmap | None:
    """Find the map under a chain of views, unless changes to it are private to this process."""
    if not hasattr(mmap, "MADV_DONTNEED"):
        return None
    array: object = values
    mode: str | None = None
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            mode = array.mode
        array = array.base
    return array if isinstance(array, mmap.mmap) and mode in ("r", "r+", "w+") else None
