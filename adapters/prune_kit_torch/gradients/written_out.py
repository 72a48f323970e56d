"""Gradients of parameters that operations meet only as tensors computed from them, written out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .factors import Factor, merge, squares, wide
from .plan import Group, Key
from .pullback import pull_back
from .source import Source
from .workspace import Workspace


class WrittenOut(Factor):
    """The gradients of a group that is to be written out, as rows of all its parameters one behind the other.

    Attributes
    ----------
    numbers
        How many numbers one example takes meanwhile.
    itemsize
        Bytes of each.
    """

    def __init__(
        self,
        group: Group,
        uses: list[tuple[Key, Factor]],
        sources: Mapping[Key, Source],
        leaves: Sequence[Tensor],
    ) -> None:
        by_key: dict[Key, list[Factor]] = {}
        for key, factor in uses:
            by_key.setdefault(key, []).append(factor)
        self._merged = {key: merge(factors) for key, factors in by_key.items()}
        self._parameters = group.parameters
        self._outputs = {key: sources[key].attached for key in self._merged if len(key) > 1}
        self._leaves = [leaves[i] for i in group.parameters]
        self.batch = next(iter(self._merged.values())).batch
        self.shape = (sum(leaf.numel() for leaf in self._leaves),)
        self.numbers = 2 * self.shape[0] + 2 * sum(
            torch.Size(factor.shape).numel() for factor in self._merged.values()
        )
        self.itemsize = max(4, self._leaves[0].element_size())

    def gradients(self, start: int, stop: int) -> list[Tensor | None]:
        """Of examples `start` to `stop`, for each parameter (stop - start, *shape); None is 0."""
        outputs = list(self._outputs.values())
        dense = [
            self._merged[key].dense(start, stop).to(output.dtype).view(stop - start, *output.shape)
            for key, output in self._outputs.items()
        ]
        with torch.enable_grad():
            pulled = pull_back(outputs, self._leaves, dense) if outputs else [None] * len(self._leaves)
        totals: list[Tensor | None] = []
        for i, grad in zip(self._parameters, pulled, strict=True):
            own = self._merged[(i,)].dense(start, stop) if (i,) in self._merged else None
            totals.append(own if grad is None else grad if own is None else own + grad)
        return totals

    def squared_norms(self, workspace: Workspace) -> Tensor:
        """See `Factor`."""
        blocks = workspace.blocks(self.batch, self.numbers, self.itemsize)
        return torch.cat([squares(self.dense(i, j)) for i, j in blocks])

    def dense(self, start: int, stop: int) -> Tensor:
        """See `Factor`."""
        rows = [
            leaf.new_zeros(stop - start, leaf.numel()) if total is None else total.reshape(stop - start, -1)
            for leaf, total in zip(self._leaves, self.gradients(start, stop), strict=True)
        ]
        return torch.cat([wide(each) for each in rows], 1)
