"""What every form of a per-example gradient can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor

from ..workspace import Workspace


class Factor(ABC):
    """The gradients of one tensor for each of `batch` examples, kept in the form they arise in.

    Attributes
    ----------
    batch
        How many examples.
    shape
        Shape of the tensor the gradient is of, without the examples' axis.
    """

    batch: int
    shape: tuple[int, ...]

    @abstractmethod
    def squared_norms(self, workspace: Workspace) -> Tensor:
        """Squared L2 norm of each example's gradient, shape (batch,), float32 or wider."""

    @abstractmethod
    def dense(self, start: int, stop: int) -> Tensor:
        """The gradients of examples `start` to `stop` written out, shape (stop - start, *shape)."""


def wide(tensor: Tensor) -> Tensor:
    """`tensor` in float32 if it is narrower: 8 bits of mantissa are too few to add squares in."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


_RUN = 4096


def squares(tensor: Tensor) -> Tensor:
    """Sum of squares over all axes but the first.

    In runs of limited length: torch's vector norm is ten times faster than squaring and summing, but adds
    up so plainly that it is off by 1e-4 for a million float32 numbers.
    """
    flat = tensor.flatten(1) if tensor.ndim > 1 else tensor[:, None]
    length = flat.shape[1]
    whole = length - length % _RUN if length > _RUN else 0
    total = torch.linalg.vector_norm(flat[:, whole:], dim=1).square()
    if whole:
        runs = flat[:, :whole].view(len(flat), -1, _RUN)
        total += torch.linalg.vector_norm(runs, dim=2).square().sum(1)
    return cast(Tensor, total)
