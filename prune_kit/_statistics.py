"""What the scores of one example rest on: a few sums over the other classes, free of cancellation.

With label y, M the largest logit of the other classes and m = max(M, l_y), every score follows from

    own = exp(l_y - m)    rest = sum_{j != y} exp(l_j - M)
    top = exp(M - m)      squares = sum_{j != y} exp(l_j - M)^2

No probability is ever subtracted from 1, and `rest` and `squares` lie in [1, c - 1], so that neither
rounding nor underflow can spoil an example that the model is sure of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .arrays import Array, device_of


@dataclass(frozen=True)
class Statistics:
    """Sums over the classes of each example, every field of shape (b,)."""

    own: Array
    top: Array
    rest: Array
    squares: Array
    gap: Array | None
    """M - l_y where logits were given; None for probabilities, where `own` and `top` are exact as given."""


def class_mask(xp: Any, values: Array, labels: Array, axis: int) -> Array:
    """Whether an entry of `values` belongs to its example's label; classes run along `axis`."""
    classes = xp.arange(values.shape[axis], device=device_of(values))
    return xp.expand_dims(classes, axis=1 - axis) == xp.expand_dims(labels, axis=axis)


def statistics(xp: Any, values: Array, labels: Array, *, axis: int, from_logits: bool) -> Statistics:
    """Compute the statistics by plain array API calls, for any library; classes run along `axis`."""
    mine = class_mask(xp, values, labels, axis)
    zero = xp.zeros((), dtype=values.dtype, device=device_of(values))
    own = xp.sum(xp.where(mine, values, zero), axis=axis)
    others = xp.where(mine, zero - float("inf"), values) if from_logits else xp.where(mine, zero, values)
    top = xp.max(others, axis=axis)
    if not from_logits:
        safe = xp.where(top > 0, top, zero + 1)
        shares = others / xp.expand_dims(safe, axis=axis)
        return Statistics(own, top, xp.sum(shares, axis=axis), xp.sum(shares * shares, axis=axis), None)
    shares = xp.exp(others - xp.expand_dims(top, axis=axis))
    return from_logit_sums(xp, own, top, xp.sum(shares, axis=axis), xp.sum(shares * shares, axis=axis))


def from_logit_sums(xp: Any, own_logit: Array, top_logit: Array, rest: Array, squares: Array) -> Statistics:
    """Statistics from the two logits that matter and the sums over the other classes."""
    largest = xp.maximum(own_logit, top_logit)
    return Statistics(
        own=xp.exp(own_logit - largest),
        top=xp.exp(top_logit - largest),
        rest=rest,
        squares=squares,
        gap=top_logit - own_logit,
    )
