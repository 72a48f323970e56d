"""What tells one model or data set of torch from another when a run is resumed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from prune_kit import identity


def structure(model: nn.Module) -> dict[str, Any]:
    """The model's class, its size, and a digest of the names and shapes of its weights."""
    shapes = [(name, tuple(tensor.shape)) for name, tensor in model.state_dict().items()]
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return identity.structure(type(model), shapes, parameters=parameters)


def feed(digest: Any, value: Any) -> None:
    """Feed tensors and arrays, and what holds them, to a hash."""
    identity.feed(digest, value, leaf=_feed_tensor)


def _feed_tensor(digest: Any, value: Any) -> None:
    if not isinstance(value, Tensor):
        identity.feed_array(digest, value)
        return
    digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
    digest.update(np.ascontiguousarray(value.detach().cpu().contiguous().view(torch.uint8)).data)
