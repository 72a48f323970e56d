"""What the scores of one example rest on: a few sums over the other classes, free of cancellation.

With label y, M the largest logit of the other classes and m = max(M, l_y), every score follows from

    own = exp(l_y - m)       others = sum_{j != y} exp(l_j - m)
    lead = exp(M - m) - own  norm^2 = others^2 + sum_{j != y} exp(l_j - m)^2
    gap = M - l_y

No probability is ever subtracted from 1, and what is squared is relative to M, so that neither rounding
nor underflow can spoil an example that the model is sure of. A factor common to the first four changes no
score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .arrays import Array, device_of


@dataclass(frozen=True)
class Statistics:
    """Sums over the classes of each example, every field of shape (b,), up to a factor of each example."""

    own: Array
    others: Array
    norm: Array
    lead: Array = None
    """None where no score asks for it."""
    gap: Array = None
    """M - l_y without any factor; None where no score asks for it, and for probabilities."""
    is_relative: bool = False
    """Whether the fields before the gap are relative to m exactly, so that `own` may have underflowed."""


def class_mask(xp: Any, values: Array, labels: Array) -> Array:
    """Whether an entry of `values` (b, c) belongs to its example's label."""
    classes = xp.arange(values.shape[1], device=device_of(values))
    return classes[None, :] == labels[:, None]


def statistics(xp: Any, values: Array, labels: Array, *, from_logits: bool) -> Statistics:
    """Compute the statistics of `values` (b, c) by plain array API calls, for any library and any values."""
    mine = class_mask(xp, values, labels)
    zero = xp.zeros((), dtype=values.dtype, device=device_of(values))
    own = xp.sum(xp.where(mine, values, zero), axis=1)
    if not from_logits:
        others = xp.where(mine, zero, values)
        top = xp.max(others, axis=1)
        shares = others / xp.where(top > 0, top, zero + 1)[:, None]
        rest, norm = _sums(xp, shares)
        return Statistics(own, top * rest, top * norm, lead=top - own)
    others = xp.where(mine, zero - float("inf"), values)
    largest_other = xp.max(others, axis=1)
    rest, norm = _sums(xp, xp.exp(others - largest_other[:, None]))
    largest = xp.maximum(own, largest_other)
    top = xp.exp(largest_other - largest)
    gap = largest_other - own
    return Statistics(xp.exp(own - largest), top * rest, top * norm, lead_of(xp, gap), gap, is_relative=True)


def _sums(xp: Any, shares: Array) -> tuple[Array, Array]:
    rest = xp.sum(shares, axis=1)
    return rest, xp.sqrt(rest * rest + xp.sum(shares * shares, axis=1))


def lead_of(xp: Any, gap: Array) -> Array:
    """exp(M - m) - exp(l_y - m) from M - l_y, to the last digits also where both are nearly equal."""
    return xp.sign(gap) * -xp.expm1(-xp.abs(gap))
