"""What tells one data set, or one function of the user's, from another when a run is resumed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import CodeType
from typing import Any

import numpy as np


def replaced_parts(**parts: Any) -> dict[str, str]:
    """Name and digest of each part that the user gave in place of the recipe's."""
    return {name: _identity(part) for name, part in parts.items() if part is not None}


def _identity(part: Any) -> str:
    name = f"{getattr(part, '__module__', '?')}.{getattr(part, '__qualname__', type(part).__qualname__)}"
    code = getattr(part, "__code__", None)
    if code is None:
        return name
    digest = hashlib.sha256()
    _feed_code(digest, code)
    # A learning rate that a lambda closes over is part of what it does.
    for cell in part.__closure__ or ():
        if isinstance(cell.cell_contents, (int, float, str, tuple, bool)):
            digest.update(repr(cell.cell_contents).encode())
    return f"{name} {digest.hexdigest()[:12]}"


def _feed_code(digest: Any, code: CodeType) -> None:
    digest.update(code.co_code)
    digest.update(repr(code.co_names).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):  # its repr holds a memory address
            _feed_code(digest, constant)
        else:
            digest.update(repr(constant).encode())


def feed_array(digest: Any, value: Any) -> None:
    """Feed an array to a hash: type and shape first, so that no two look alike."""
    array = np.ascontiguousarray(value)
    digest.update(f"{array.dtype}{array.shape}".encode())
    digest.update(array.tobytes())


def feed(digest: Any, value: Any, *, leaf: Callable[[Any, Any], None] = feed_array) -> None:
    """Feed arrays, and dicts and tuples that hold arrays, to a hash; `leaf` feeds one array."""
    if value is None:  # as an array it would be a memory address
        digest.update(b"None")
    elif isinstance(value, dict):
        for key in sorted(value):
            digest.update(str(key).encode())
            feed(digest, value[key], leaf=leaf)
    elif isinstance(value, (tuple, list)):
        for each in value:
            feed(digest, each, leaf=leaf)
    else:
        leaf(digest, value)


def structure(of: type, shapes: list[tuple[str, tuple[int, ...]]], *, parameters: int) -> dict[str, Any]:
    """What run.json says of a model: its class, its size, and a digest of names and shapes of its weights."""
    return {
        "class": f"{of.__module__}.{of.__qualname__}",
        "parameters": parameters,
        "structure": hashlib.sha256(repr(shapes).encode()).hexdigest()[:16],
    }
