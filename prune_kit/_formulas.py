"""The scores of hard labels as formulas of the statistics, the same for every array library."""

from __future__ import annotations

from typing import Any

from ._statistics import Statistics, class_mask
from .arrays import Array


def el2n(xp: Any, s: Statistics) -> Array:
    """Norm of the error vector: the label's entry is the sum of the others'."""
    return s.norm / (s.others + s.own)


def error_l1(xp: Any, s: Statistics) -> Array:
    """Twice the probability of the other classes."""
    return 2 * s.others / (s.others + s.own)


def p_label(xp: Any, s: Statistics) -> Array:
    """Probability of the label."""
    return s.own / (s.others + s.own)


def probabilities(xp: Any, values: Array, *, from_logits: bool) -> Array:
    """Probability of every class; each row sums to 1."""
    shares = xp.exp(values - xp.max(values, axis=1, keepdims=True)) if from_logits else values
    return shares / xp.sum(shares, axis=1, keepdims=True)


def margin(xp: Any, s: Statistics) -> Array:
    """Largest other probability less the label's."""
    return s.lead / (s.others + s.own)


def logit_margin(xp: Any, s: Statistics) -> Array:
    """Largest other logit less the label's."""
    return s.gap


def margin_sum(xp: Any, s: Statistics, num_classes: int) -> Array:
    """Sum over the other classes of their probability less the label's."""
    return (s.others - (num_classes - 1) * s.own) / (s.others + s.own)


def cross_entropy(xp: Any, s: Statistics) -> Array:
    """Minus the logarithm of the label's probability: each branch adds terms of one sign."""
    if s.is_relative:
        return xp.where(s.gap <= 0, xp.log1p(s.others), s.gap + xp.log(s.others + s.own))
    ratio = s.others / s.own
    return xp.where(xp.isfinite(ratio), xp.log1p(ratio), xp.log(s.others + s.own) - xp.log(s.own))


def entropy(xp: Any, values: Array, *, from_logits: bool) -> Array:
    """Entropy of each example's prediction, relative to its largest class so that nothing cancels."""
    top = xp.max(values, axis=1)[:, None]
    if from_logits:
        logs = values - top
        shares = xp.exp(logs)
    else:
        shares = values / top
        logs = xp.log(xp.where(shares > 0, shares, xp.ones_like(shares)))
    is_top = class_mask(xp, values, xp.argmax(values, axis=1))
    others = xp.sum(xp.where(is_top, xp.zeros_like(shares), shares), axis=1)
    # The largest class adds nothing, its log being 0; nor does a class whose share is 0.
    terms = xp.where(shares > 0, shares * logs, xp.zeros_like(shares))
    return xp.log1p(others) - xp.sum(terms, axis=1) / (1 + others)
