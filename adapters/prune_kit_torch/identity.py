"""What tells one model, or one function of the user's, from another when a run is resumed."""

from __future__ import annotations

import hashlib
from types import CodeType
from typing import Any

from torch import nn


def structure(model: nn.Module) -> dict[str, Any]:
    """The model's class, its size, and a digest of the names and shapes of its weights."""
    shapes = [(name, tuple(tensor.shape)) for name, tensor in model.state_dict().items()]
    return {
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "structure": hashlib.sha256(repr(shapes).encode()).hexdigest()[:16],
    }


def replaced_parts(**parts: Any) -> dict[str, str]:
    """Name and digest of each part that the user gave in place of the recipe's."""
    return {name: _identity(part) for name, part in parts.items() if part is not None}


def _identity(part: Any) -> str:
    name = f"{getattr(part, '__module__', '?')}.{getattr(part, '__qualname__', type(part).__qualname__)}"
    code = getattr(part, "__code__", None)
    if code is None:
        return name
    digest = hashlib.sha256()
    _feed(digest, code)
    # A learning rate that a lambda closes over is part of what it does.
    for cell in part.__closure__ or ():
        if isinstance(cell.cell_contents, (int, float, str, tuple, bool)):
            digest.update(repr(cell.cell_contents).encode())
    return f"{name} {digest.hexdigest()[:12]}"


def _feed(digest: Any, code: CodeType) -> None:
    digest.update(code.co_code)
    digest.update(repr(code.co_names).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):  # its repr holds a memory address
            _feed(digest, constant)
        else:
            digest.update(repr(constant).encode())
