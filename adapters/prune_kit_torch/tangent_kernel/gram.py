"""The kernel being added up: rows are (example, logit), the part below the diagonal is left to the end."""

from __future__ import annotations

import torch
from torch import Tensor

_ROW_BLOCKS = 4


class Gram:
    """A kernel of `batch` examples and `classes` logits, with dtype and device of `like`.

    Attributes
    ----------
    kernel
        Shape (batch * classes, batch * classes); below the diagonal it means nothing yet.
    memory
        Bytes that gradients may take at once.
    """

    def __init__(self, batch: int, classes: int, like: Tensor, memory: int) -> None:
        self.batch, self.classes, self.memory = batch, classes, memory
        self.rows = batch * classes
        self.kernel = like.new_zeros(self.rows, self.rows)

    def bytes_of(self, numbers: int) -> int:
        """What `numbers` in every row take."""
        return self.rows * numbers * self.kernel.element_size()

    def columns(self, width: int) -> int:
        """How many of `width` columns of the Jacobian may be written out at once."""
        return max(1, min(width, self.memory // self.bytes_of(2)))

    def add_rows(self, rows: Tensor) -> None:
        """Add the products of `rows` (batch, classes, ...), all rows of some columns of the Jacobian."""
        flat = rows.reshape(self.rows, -1).to(self.kernel)
        step = -(-self.rows // _ROW_BLOCKS)
        for i in range(0, self.rows, step):
            self.kernel[i : i + step, i:].addmm_(flat[i : i + step], flat[i:].T)

    def finished(self) -> Tensor:
        """The kernel, exactly symmetric."""
        return torch.triu(self.kernel) + torch.triu(self.kernel, 1).T
