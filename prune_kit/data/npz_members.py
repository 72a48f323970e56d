"""The arrays of an .npz file, mapped into memory where they are stored as they are."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..arrays import NumpyArray

_LOCAL_HEADER = 30  # bytes of a zip member before its name and extra field
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def open_member(path: Path, key: str, /) -> Callable[[], NumpyArray]:
    """Return what opens an array: mapped anew each time, so that what was read takes no memory afterwards.

    Arrays that are compressed, or that cannot be mapped, are loaded now and held.

    Raises
    ------
    OSError, ValueError, zipfile.BadZipFile
        And whatever else NumPy raises on damaged files.
    """
    mapping = _mapping(path, key)
    if mapping is not None:
        return lambda: np.memmap(path, mode="r", **mapping)
    with np.load(path, allow_pickle=False) as arrays:
        array = np.asarray(arrays[key])
    return lambda: array


def _mapping(path: Path, key: str) -> dict[str, Any] | None:
    """Return the arguments of `numpy.memmap`, or None where it does not apply."""
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if key + ".npy" not in names:
            return None
        member = archive.getinfo(key + ".npy")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:  # compressed or encrypted
            return None
        file.seek(member.header_offset + _LOCAL_HEADER - 4)
        start = member.header_offset + _LOCAL_HEADER + sum(struct.unpack("<HH", file.read(4)))
        file.seek(start)
        return _array_mapping(file, start + member.file_size)


def _array_mapping(file: IO[bytes], end: int) -> dict[str, Any] | None:
    read_header = _HEADERS.get(np.lib.format.read_magic(file))
    if read_header is None:
        return None
    shape, is_fortran, dtype = read_header(file)
    size = dtype.itemsize * int(np.prod(shape, dtype=object))
    if dtype.hasobject or not size or file.tell() + size != end:
        return None
    return {"dtype": dtype, "shape": shape, "order": "F" if is_fortran else "C", "offset": file.tell()}
