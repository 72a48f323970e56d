"""Embedding tables and bags of embeddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..factors import Factor
from ..factors import Rows as TableRows
from ..layout import Rows, Unsupported
from ..source import Source
from .use import Use


def _embedding(
    input: Any, weight: Any, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> list[Use]:  # fmt: skip
    if not isinstance(weight, Source) or not isinstance(input, Tensor):
        return []
    if scale_grad_by_freq:
        raise Unsupported("an embedding scales its gradients by frequency in the batch")
    table = len(weight.value)
    padding = None if padding_idx is None else padding_idx % table

    def factor(rows: Rows, grad: Tensor, index: Tensor) -> Factor:
        values = rows.positions(grad)
        batch, entries = values.shape[:2]
        index = rows.first(index).reshape(-1)
        example = torch.arange(batch, device=grad.device).repeat_interleave(entries)
        values = values.flatten(0, 1)
        if padding is not None:
            real = index != padding
            example, index, values = example[real], index[real], values[real]
        return TableRows(batch, table, example, index, values)

    return [Use(weight, (input,), factor)]


def _embedding_bag(
    input: Any, weight: Any, offsets: Any = None, max_norm: float | None = None, norm_type: float = 2,
    scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
    per_sample_weights: Any = None, include_last_offset: bool = False, padding_idx: int | None = None,
) -> list[Use]:  # fmt: skip
    if scale_grad_by_freq:
        raise Unsupported("an embedding bag scales its gradients by frequency in the batch")
    if not isinstance(weight, Source) or not isinstance(input, Tensor) or mode == "max":
        return []
    if isinstance(per_sample_weights, Source):
        return []
    table = len(weight.value)
    padding = None if padding_idx is None else padding_idx % table
    weights = None if per_sample_weights is None else per_sample_weights.detach().flatten()

    def factor(rows: Rows, grad: Tensor, index: Tensor) -> Factor:
        bags = len(grad)
        if index.ndim == 2:
            bag = torch.arange(bags, device=grad.device).repeat_interleave(index.shape[1])
            index = index.flatten()
        else:
            position = torch.arange(len(index), device=grad.device)
            bag = torch.searchsorted(offsets[:bags].contiguous(), position, right=True) - 1
        real = torch.ones_like(bag, dtype=torch.bool) if padding is None else index != padding
        bag, index = bag[real], index[real]
        values = grad[bag]
        if mode == "mean":
            values = values / torch.bincount(bag, minlength=bags).clamp(min=1)[bag, None]
        if weights is not None:
            values = values * weights[real, None]
        example = rows.owner(bags, grad.device)[bag]
        return TableRows(rows.batch, table, example, index, values)

    return [Use(weight, (input,), factor)]


RULES: dict[Any, Callable[..., list[Use]]] = {
    F.embedding: _embedding,
    torch.embedding: lambda weight, input, padding_idx=None, *_, **__: _embedding(
        input, weight, None if padding_idx in (None, -1) else padding_idx
    ),
    F.embedding_bag: _embedding_bag,
}
