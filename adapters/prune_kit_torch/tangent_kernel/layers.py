"""The gradients of the parameters of each layer for every logit, kept in the smallest form they arise in."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..gradients.factors import Convolution, Dense, Factor, Outer, Rows, wide
from ..gradients.plan import Group
from ..gradients.workspace import Workspace
from .gram import Gram
from .positions import positions_of


class Layers:
    """Groups of parameters whose gradients fit the memory together; the others wait for another pass.

    `done` are groups (by identity) that have been counted; `taken` those that are counted here, `left_out`
    those that are not.
    """

    def __init__(self, gram: Gram, workspace: Workspace, done: set[int]) -> None:
        self.taken: set[int] = set()
        self.left_out: set[int] = set()
        self._gram, self._workspace, self._done = gram, workspace, done
        self._memory = gram.memory
        self._layers: dict[int, Layer] = {}

    def add(self, k: int, group: Group, factor: Factor) -> None:
        """The gradients of logit `k` of all examples for the parameters of `group`."""
        key = id(group)
        if key in self._done or key in self.left_out:
            return
        if key not in self._layers:
            size = min(self._gram.bytes_of(_numbers(factor)), self._gram.memory)
            if self._layers and size > self._memory:
                self.left_out.add(key)
                return
            self._memory -= size
            self._layers[key] = Layer(self._gram, self._workspace)
            self.taken.add(key)
        self._layers[key].add(k, factor)

    def count(self) -> None:
        """Add the products of all rows to the kernel, and forget layer by layer."""
        while self._layers:
            self._layers.popitem()[1].count()


class Layer:
    """One group. A logit that its parameters do not change has no gradients."""

    def __init__(self, gram: Gram, workspace: Workspace) -> None:
        self._gram, self._workspace = gram, workspace
        self._of_logit: dict[int, Factor] = {}

    def add(self, k: int, factor: Factor) -> None:
        """Keep the gradients of logit `k`; what all logits have in common is kept once."""
        width = math.prod(factor.shape)
        is_smaller = not isinstance(factor, Dense | Rows) and width <= _numbers(factor)
        if is_smaller and self._gram.bytes_of(width) <= self._gram.memory:
            factor = self._written_out(factor)
        elif self._of_logit:
            _share(factor, next(iter(self._of_logit.values())))
        self._of_logit[k] = factor

    def _written_out(self, factor: Factor) -> Dense:
        width, itemsize = math.prod(factor.shape), self._gram.kernel.element_size()
        blocks = self._workspace.blocks(factor.batch, 4 * width, itemsize)
        return Dense(torch.cat([factor.dense(i, j) for i, j in blocks]))

    def count(self) -> None:
        """Add the products of all rows to the kernel."""
        positions = positions_of(self._of_logit, self._gram)
        if positions is not None:
            positions.count(self._gram, self._workspace)
            return
        factors = self._of_logit
        if all(isinstance(factor, Rows) for factor in factors.values()):
            factors = _compact(factors)
        width = math.prod(next(iter(factors.values())).shape)
        step = self._gram.columns(width)
        for start in range(0, width, step):
            self._gram.add_rows(self._columns(factors, start, min(start + step, width)))

    def _columns(self, factors: dict[int, Factor], start: int, stop: int) -> Tensor:
        gram = self._gram
        rows = gram.kernel.new_zeros(gram.batch, gram.classes, stop - start)
        for k, factor in factors.items():
            width = math.prod(factor.shape)
            for i, j in self._workspace.blocks(gram.batch, 4 * width, gram.kernel.element_size()):
                rows[i:j, k] = factor.dense(i, j).reshape(j - i, width)[:, start:stop]
        return rows


def _numbers(factor: Factor) -> int:
    """How many numbers of its own each example has, for one logit."""
    if isinstance(factor, Outer | Convolution):
        return factor.g[0].numel()
    return factor.values.numel() // factor.batch if isinstance(factor, Rows) else math.prod(factor.shape)


def _share(factor: Factor, first: Factor) -> None:
    """Use the tensor of `first` for what is the same in both: what the layer met, which no logit changes."""
    if isinstance(first, Outer) and isinstance(factor, Outer):
        if torch.equal(first.a, factor.a):
            factor.a = first.a
        elif torch.equal(first.g, factor.g):
            factor.g = first.g
    elif (
        isinstance(first, Convolution) and isinstance(factor, Convolution) and torch.equal(first.x, factor.x)
    ):
        factor.x = first.x


def _compact(factors: dict[int, Factor]) -> dict[int, Factor]:
    """Gradients of a table, of the rows alone that an example looks up."""
    tables = {k: factor for k, factor in factors.items() if isinstance(factor, Rows)}
    used = torch.cat([table.index for table in tables.values()]).unique()
    return {
        k: Rows(t.batch, len(used), t.example, torch.searchsorted(used, t.index), wide(t.values))
        for k, t in tables.items()
    }
