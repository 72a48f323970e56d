"""Sums over what one example holds, for parameters that are broadcast over it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..factors import wide
from ..layout import Rows, Unsupported


def reduced(rows: Rows, grad: Tensor, shape: Sequence[int]) -> Tensor:
    """Undo, for each example, the broadcasting of a parameter of `shape` to `grad`: (batch, *shape)."""
    first = wide(rows.first(grad))
    lead = grad.ndim - len(shape)
    kept = rows.axis - lead
    if kept >= 0 and shape[kept] != 1:
        raise Unsupported("a parameter is as long as the batch")
    axes = [1 + a for a in range(lead)]
    ones = [1 + lead + a for a, n in enumerate(shape) if n == 1 and first.shape[1 + lead + a] != 1]
    if ones:
        first = first.sum(ones, keepdim=True)
    return first.sum(axes) if axes else first


def channel_sums(rows: Rows, grad: Tensor) -> Tensor:
    """Sum over all but example and channel of a (rows, channels, *space) gradient: (batch, channels)."""
    first = _channels(rows, grad)
    return wide(first).sum((1, 3))


def channels_first(rows: Rows, tensor: Tensor) -> Tensor:
    """(rows, channels, *space) as (batch, uses, channels, positions)."""
    return _channels(rows, tensor)


def _channels(rows: Rows, tensor: Tensor) -> Tensor:
    if rows.axis != 0:
        raise Unsupported("the examples do not lie along the first axis of a layer with channels")
    first = rows.first(tensor)
    return first.flatten(3) if first.ndim > 3 else first.unsqueeze(3)
