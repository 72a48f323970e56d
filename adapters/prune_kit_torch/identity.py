"""What tells one model, data set, or function of the user's from another when a run is resumed."""

from __future__ import annotations

import hashlib
from types import CodeType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


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


def feed(digest: Any, value: Any) -> None:
    """Feed arrays, and what holds arrays, to a hash: type and shape first, so that no two look alike."""
    if isinstance(value, dict):
        for key in sorted(value):
            digest.update(str(key).encode())
            feed(digest, value[key])
    elif isinstance(value, (tuple, list)):
        for each in value:
            feed(digest, each)
    elif isinstance(value, Tensor):
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(np.ascontiguousarray(value.detach().cpu().contiguous().view(torch.uint8)).data)
    else:
        array = np.ascontiguousarray(value)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
