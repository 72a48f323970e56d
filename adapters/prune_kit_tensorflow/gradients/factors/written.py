"""A per-example gradient written out: biases, norm layers, bare variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .base import squares


@dataclass(frozen=True)
class Written:
    """`values`, shape (b, *shape)."""

    values: Any

    def squared_norms(self) -> Any:
        """See `Factor`."""
        return squares(self.values)

    def written_out(self) -> Any:
        """See `Factor`."""
        return self.values
