"""One weight used several times: the sum of its gradients, whose norm has cross terms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..workspace import Workspace
from .base import Factor, squares, wide
from .convolution import Convolution
from .dense import Dense
from .outer import Outer
from .rows import Rows


class Transposed(Factor):
    """The gradients of a matrix's transpose."""

    def __init__(self, of: Factor) -> None:
        self.of, self.batch, self.shape = of, of.batch, of.shape[::-1]

    def squared_norms(self, workspace: Workspace) -> Tensor:
        """See `Factor`."""
        return self.of.squared_norms(workspace)

    def dense(self, start: int, stop: int) -> Tensor:
        """See `Factor`."""
        return self.of.dense(start, stop).mT


class Sum(Factor):
    """The sum of gradients in different forms."""

    def __init__(self, parts: Sequence[Factor]) -> None:
        self.parts = list(parts)
        self.batch, self.shape = parts[0].batch, parts[0].shape

    def squared_norms(self, workspace: Workspace) -> Tensor:
        """Closed form for an embedding table that is also a linear layer's weight; written out otherwise."""
        kinds = {type(part): part for part in self.parts}
        rows, outer = kinds.get(Rows), kinds.get(Outer)
        if len(self.parts) == 2 and isinstance(rows, Rows) and isinstance(outer, Outer):
            own = rows.squared_norms(workspace) + outer.squared_norms(workspace)
            return own.add_(_inner(rows, outer, workspace), alpha=2).clamp_(min=0)
        numbers = torch.Size(self.shape).numel()
        itemsize = 8 if self.parts[0].dense(0, 1).dtype == torch.float64 else 4
        blocks = workspace.blocks(self.batch, 2 * numbers, itemsize)
        return torch.cat([squares(self.dense(i, j)) for i, j in blocks])

    def dense(self, start: int, stop: int) -> Tensor:
        """See `Factor`."""
        first, *rest = (part.dense(start, stop) for part in self.parts)
        for other in rest:
            first = first + other
        return first


def _inner(rows: Rows, outer: Outer, workspace: Workspace) -> Tensor:
    """Inner product of both gradients of each example: sum over entries of value . (g[:, index] a)."""
    total = wide(rows.values[:0]).new_zeros(rows.batch)
    count, positions = len(rows.index), outer.a.shape[1]
    step = max(1, workspace.limit // (8 * max(positions, outer.a.shape[2]) * positions))
    for start in range(0, count, step):
        part = slice(start, start + step)
        example, index, values = rows.example[part], rows.index[part], wide(rows.values[part])
        at = wide(outer.g[example, :, index])  # (entries, positions)
        seen = torch.bmm(wide(outer.a[example]), values[:, :, None]).squeeze(2)  # (entries, positions)
        total.index_add_(0, example, (at * seen).sum(1))
    return total


def transpose(factor: Factor) -> Factor:
    """The same gradients, for the transposed matrix."""
    return factor.transposed() if isinstance(factor, Outer) else Transposed(factor)


def merge(factors: Sequence[Factor]) -> Factor:
    """One factor for the sum of `factors`, in the cheapest form that holds it."""
    if len(factors) == 1:
        return factors[0]
    outer = [f for f in factors if isinstance(f, Outer)]
    rows = [f for f in factors if isinstance(f, Rows)]
    dense = [f for f in factors if isinstance(f, Dense)]
    convolutions: dict[object, list[Convolution]] = {}
    for f in factors:
        if isinstance(f, Convolution):
            convolutions.setdefault((f.geometry, f.x.shape[2:], f.g.shape[2:]), []).append(f)
    parts: list[Factor] = []
    if outer:
        parts.append(Outer(torch.cat([f.a for f in outer], 1), torch.cat([f.g for f in outer], 1)))
    if rows:
        joined = [torch.cat(t) for t in zip(*((f.example, f.index, f.values) for f in rows), strict=True)]
        parts.append(Rows(rows[0].batch, rows[0].table, *joined))
    if dense:
        parts.append(Dense(torch.stack([f.values for f in dense]).sum(0)))
    for same in convolutions.values():
        x, g = torch.cat([f.x for f in same], 1), torch.cat([f.g for f in same], 1)
        parts.append(Convolution(x, g, same[0].shape, same[0].geometry))
    parts.extend(f for f in factors if not isinstance(f, Outer | Rows | Dense | Convolution))
    return parts[0] if len(parts) == 1 else Sum(parts)
