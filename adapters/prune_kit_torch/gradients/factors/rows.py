"""Gradients that touch a few rows of a table: embeddings."""

from __future__ import annotations

import torch
from torch import Tensor

from ..workspace import Workspace
from .base import Factor, squares, wide


class Rows(Factor):
    """Row `index[t]` of example `example[t]`'s gradient receives `values[t]`.

    `example` and `index` have shape (entries,), `values` (entries, features); examples need not have
    equally many entries.
    """

    def __init__(self, batch: int, table: int, example: Tensor, index: Tensor, values: Tensor) -> None:
        self.batch, self.table = batch, table
        self.example, self.index, self.values = example, index, values
        self.shape = (table, values.shape[1])

    def squared_norms(self, workspace: Workspace) -> Tensor:
        """Entries that name the same row of the same example are added before they are squared."""
        values = wide(self.values)
        if len(self.index) == self.batch and bool((self.example[1:] > self.example[:-1]).all()):
            return squares(values)
        # Entries of one example and row get one number, in whatever order they come.
        key, order = (self.example * self.table + self.index).sort()
        fresh = torch.ones_like(key)
        fresh[1:] = key[1:] != key[:-1]
        ranks = fresh.cumsum(0) - 1
        count = int(ranks[-1]) + 1 if len(ranks) else 0
        group = torch.empty_like(ranks).scatter_(0, order, ranks)
        owner = torch.empty(count, dtype=torch.long, device=key.device).scatter_(0, group, self.example)
        totals = values.new_zeros(self.batch)
        features = values.shape[1]
        width = max(1, min(features, workspace.limit // max(1, count * values.element_size())))
        for start in range(0, features, width):
            part = values[:, start : start + width]
            summed = part.new_zeros(count, part.shape[1]).index_add_(0, group, part)
            totals.index_add_(0, owner, squares(summed))
        return totals

    def dense(self, start: int, stop: int) -> Tensor:
        """See `Factor`."""
        mine = (self.example >= start) & (self.example < stop)
        out = wide(self.values[:0]).new_zeros((stop - start) * self.table, self.shape[1])
        out.index_add_(
            0, (self.example[mine] - start) * self.table + self.index[mine], wide(self.values[mine])
        )
        return out.view(stop - start, *self.shape)
