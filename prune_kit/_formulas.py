"""The scores of hard labels as formulas of the statistics, the same for every array library."""

from __future__ import annotations

from typing import Any

from ._statistics import Statistics, class_mask
from .arrays import Array


def _total(s: Statistics) -> Array:
    return s.top * s.rest + s.own


def el2n(xp: Any, s: Statistics) -> Array:
    """Norm of the error vector: the label's entry is the sum of the others'."""
    return s.top * xp.sqrt(s.rest * s.rest + s.squares) / _total(s)


def error_l1(xp: Any, s: Statistics) -> Array:
    """Twice the probability of the other classes."""
    return 2 * (s.top * s.rest) / _total(s)


def p_label(xp: Any, s: Statistics) -> Array:
    """Probability of the label."""
    return s.own / _total(s)


def margin(xp: Any, s: Statistics) -> Array:
    """Largest other probability less the label's, accurate also where both are nearly equal."""
    if s.gap is None:
        return (s.top - s.own) / _total(s)
    return xp.sign(s.gap) * -xp.expm1(-xp.abs(s.gap)) / _total(s)


def margin_sum(xp: Any, s: Statistics, num_classes: int) -> Array:
    """Sum over the other classes of their probability less the label's."""
    return (s.top * s.rest - (num_classes - 1) * s.own) / _total(s)


def cross_entropy(xp: Any, s: Statistics) -> Array:
    """Minus the logarithm of the label's probability: each branch adds terms of one sign."""
    if s.gap is None:
        leads = s.own >= s.top
        sure = xp.log1p(s.top * s.rest / xp.where(leads, s.own, xp.ones_like(s.own)))
        return xp.where(leads, sure, xp.log(_total(s)) - xp.log(s.own))
    return xp.where(s.gap <= 0, xp.log1p(s.top * s.rest), s.gap + xp.log(s.rest + s.own))


def entropy(xp: Any, values: Array, *, axis: int, from_logits: bool) -> Array:
    """Entropy of each example's prediction, relative to its largest class so that nothing cancels."""
    top = xp.expand_dims(xp.max(values, axis=axis), axis=axis)
    if from_logits:
        logs = values - top
        shares = xp.exp(logs)
    else:
        shares = values / top
        logs = xp.log(xp.where(shares > 0, shares, xp.ones_like(shares)))
    is_top = class_mask(xp, values, xp.argmax(values, axis=axis), axis)
    others = xp.sum(xp.where(is_top, xp.zeros_like(shares), shares), axis=axis)
    # The largest class adds nothing, its log being 0; nor does a class whose share is 0.
    terms = xp.where(shares > 0, shares * logs, xp.zeros_like(shares))
    return xp.log1p(others) - xp.sum(terms, axis=axis) / (1 + others)
