"""Scores of labels that are distributions over the classes, (n, c), with rows that are not one-hot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._statistics import class_mask
from .arrays import Array, wide_float


def columns(
    xp: Any, values: Array, labels: Array, names: Sequence[str], *, from_logits: bool
) -> dict[str, Array]:
    """Columns by name, in the type of `values`.

    Computed in float64: where the label is no single class, p - y has no form that never cancels.
    """
    dtype = wide_float(values)
    logs, others = _log_shares(xp, xp.astype(values, dtype, copy=False), from_logits)
    labels = xp.astype(labels, dtype, copy=False)
    shares = xp.exp(logs) / xp.expand_dims(1 + others, axis=1)
    errors = shares - labels
    result: dict[str, Array] = {}
    if "el2n" in names:
        result["el2n"] = xp.sqrt(xp.sum(errors * errors, axis=1))
    if "error_l1" in names:
        result["error_l1"] = xp.sum(xp.abs(errors), axis=1)
    if "cross_entropy" in names:
        # A class of label 0 adds nothing, even where its probability is 0.
        terms = xp.where(labels > 0, -labels * logs, xp.zeros_like(logs))
        result["cross_entropy"] = xp.log1p(others) + xp.sum(terms, axis=1)
    return {name: xp.astype(column, values.dtype, copy=False) for name, column in result.items()}


def _log_shares(xp: Any, values: Array, from_logits: bool) -> tuple[Array, Array]:
    """Log of each class's share of the largest class's, and the sum of the others' shares."""
    top = xp.expand_dims(xp.max(values, axis=1), axis=1)
    logs = values - top if from_logits else xp.log(values) - xp.log(top)
    is_top = class_mask(xp, values, xp.argmax(values, axis=1))
    others = xp.sum(xp.where(is_top, xp.zeros_like(logs), xp.exp(logs)), axis=1)
    return logs, others
