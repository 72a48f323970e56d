"""A per-example gradient written out: biases, norm layers, bare parameters."""

from __future__ import annotations

from torch import Tensor

from ..workspace import Workspace
from .base import Factor, squares, wide


class Dense(Factor):
    """`values`, shape (batch, *shape)."""

    def __init__(self, values: Tensor) -> None:
        self.values = wide(values)
        self.batch = values.shape[0]
        self.shape = tuple(values.shape[1:])

    def squared_norms(self, workspace: Workspace) -> Tensor:
        """See `Factor`."""
        return squares(self.values)

    def dense(self, start: int, stop: int) -> Tensor:
        """See `Factor`."""
        return self.values[start:stop]
