"""Where the examples lie in a tensor: which axis is the batch, also when it is merged with others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


class Unsupported(Exception):  # noqa: N818 - a reason to go another way, not a failure
    """The model does something the per-operation method has no exact answer for; the message says what."""


@dataclass(frozen=True)
class Layout:
    """Examples lie along `axis`, whose length is `before * batch * after`.

    `(batch * time, features)` is `Layout(0, 1, time)`, `(time, batch, features)` is `Layout(1, 1, 1)`.
    """

    axis: int
    before: int
    after: int

    def rows(self, batch: int, size: int) -> Rows:
        """The layout for a batch of `batch` examples, on an axis of length `size`.

        Raises
        ------
        Unsupported
            If the axis cannot be split that way.
        """
        before, after = self.before, self.after
        if size % batch:
            raise Unsupported(f"an axis of length {size} does not hold {batch} examples")
        if before == 1:
            after = size // batch
        elif after == 1:
            before = size // batch
        elif before * batch * after != size:
            raise Unsupported(f"an axis of length {size} does not hold {before} x {batch} x {after}")
        return Rows(self.axis, before, batch, after)


@dataclass(frozen=True)
class Rows:
    """A `Layout` at a given batch size."""

    axis: int
    before: int
    batch: int
    after: int

    def first(self, tensor: Tensor) -> Tensor:
        """Examples first: `(batch, *shape)` with the batch axis of `shape` cut to what one example holds."""
        if self.axis == 0 and self.before == 1:
            return tensor.reshape(self.batch, self.after, *tensor.shape[1:])
        split = (
            *tensor.shape[: self.axis],
            self.before,
            self.batch,
            self.after,
            *tensor.shape[self.axis + 1 :],
        )
        first = tensor.reshape(split).movedim(self.axis + 1, 0)
        return first.flatten(self.axis + 1, self.axis + 2)

    def positions(self, tensor: Tensor) -> Tensor:
        """All axes but the last as one: `(batch, positions, features)`."""
        return self.first(tensor).flatten(1, -2)

    def transposed(self, ndim: int) -> Rows:
        """The layout after the last two of `ndim` axes were swapped."""
        axis = {ndim - 1: ndim - 2, ndim - 2: ndim - 1}.get(self.axis, self.axis)
        return Rows(axis, self.before, self.batch, self.after)

    def owner(self, size: int, device: torch.device) -> Tensor:
        """Which example each index of the batch axis belongs to, shape `(size,)`."""
        return torch.arange(size, device=device).div(self.after, rounding_mode="floor") % self.batch


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def find_layout(gradients: Sequence[Tensor], batch: int) -> Layout | None:
    """The layout under which `gradients[i]`, of the loss of example i alone, touch only that example.

    Returns None where there is none. An axis that merely has the batch's length is not mistaken for it:
    the gradients of several examples must each lie in their own block.
    """
    ndim, shape = gradients[0].ndim, gradients[0].shape
    for axis in range(ndim):
        if shape[axis] % batch:
            continue
        others = [a for a in range(ndim) if a != axis]
        touched = torch.stack([(g != 0).sum(others) > 0 if others else g != 0 for g in gradients])
        inner = shape[axis] // batch
        # Batch-major first, then batch innermost: with few nonzero entries several may fit.
        for after in sorted(_divisors(inner), key=lambda d: (d != inner, d != 1)):
            layout = Layout(axis, inner // after, after)
            owner = (
                layout.rows(batch, shape[axis]) if inner == 1 else Rows(axis, inner // after, batch, after)
            )
            mine = owner.owner(shape[axis], touched.device)
            examples = torch.arange(len(gradients), device=touched.device)
            if not bool((touched & (mine[None, :] != examples[:, None])).any()):
                return layout
    return None
