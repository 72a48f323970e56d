"""Scores of sigmoid outputs: every label of an example is a question of its own, present or absent.

With p = sigmoid(z) and q = 1 - p = sigmoid(-z), an entry of the error vector is p - y = (1 - y) p - y q: no
digits cancel where the label is 0 or 1, however sure the model is. Nor does anything in the others, which
are sums of terms of one sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._norms import row_norms
from .arrays import Array, namespace, wide_float
from .checks import check_finite, first_true
from .errors import PruneKitError


def evaluate(
    values: Array,
    labels: Array | None,
    names: Sequence[str],
    *,
    dtype: Any,
    from_logits: bool,
    first_row: int,
) -> dict[str, Array]:
    """Columns by name for `values` (b, c) and `labels` (b, c), both of one library and device."""
    xp = namespace(values)
    wide = xp.astype(values, wide_float(values), copy=False)
    check_finite(wide, "logits", first_row, given=values)
    if not from_logits:
        _check_unit(wide, first_row, "with from_logits=False, `logits`", "leave out from_logits=False")
    columns: dict[str, Array] = {}
    if "entropy" in names:
        columns["entropy"] = _expected(
            xp, _probabilities(xp, wide, from_logits), _surprises(xp, wide, from_logits)
        )
    if labels is not None:
        columns |= _of_labels(xp, wide, labels, names, from_logits, first_row)
    return {name: xp.astype(columns[name], dtype, copy=False) for name in names}


def _of_labels(
    xp: Any, values: Array, labels: Array, names: Sequence[str], from_logits: bool, first_row: int
) -> dict[str, Array]:
    labels = xp.astype(labels, values.dtype, copy=False)
    check_finite(labels, "labels", first_row)
    _check_unit(labels, first_row, '`labels` with task="multilabel"', "1 where the label applies, else 0")
    columns: dict[str, Array] = {}
    if "el2n" in names or "error_l1" in names:
        p, q = _probabilities(xp, values, from_logits)
        errors = (1 - labels) * p - labels * q
        if "el2n" in names:
            columns["el2n"] = row_norms([errors], "logits", first_row=first_row)
        if "error_l1" in names:
            columns["error_l1"] = xp.sum(xp.abs(errors), axis=1)
    if "cross_entropy" in names:
        columns["cross_entropy"] = _expected(xp, (labels, 1 - labels), _surprises(xp, values, from_logits))
    if "margin" in names or "logit_margin" in names:
        _check_hard(xp, labels, first_row)
        signs = 1 - 2 * labels
        if from_logits:
            gap = xp.max(signs * values, axis=1)
            columns["logit_margin"], columns["margin"] = gap, xp.tanh(gap / 2)
        else:
            columns["margin"] = xp.max(signs * (2 * values - 1), axis=1)
    return columns


def _probabilities(xp: Any, values: Array, from_logits: bool) -> tuple[Array, Array]:
    """Probabilities that a label is present, and that it is absent."""
    if not from_logits:
        return values, 1 - values
    ratio = xp.exp(-xp.abs(values))
    likely, unlikely = 1 / (1 + ratio), ratio / (1 + ratio)
    return xp.where(values > 0, likely, unlikely), xp.where(values > 0, unlikely, likely)


def _surprises(xp: Any, values: Array, from_logits: bool) -> tuple[Array, Array]:
    """Minus the logarithms of both probabilities: softplus(-z) and softplus(z)."""
    if not from_logits:
        return -xp.log(values), -xp.log1p(-values)
    rest = xp.log1p(xp.exp(-xp.abs(values)))
    zero = xp.zeros_like(values)
    return xp.maximum(-values, zero) + rest, xp.maximum(values, zero) + rest


def _expected(xp: Any, weights: tuple[Array, Array], surprises: tuple[Array, Array]) -> Array:
    """Sum over the labels of their expected surprise; a weight of 0 adds nothing to an infinite one."""
    terms = [
        xp.where(weight > 0, weight * surprise, xp.zeros_like(weight))
        for weight, surprise in zip(weights, surprises, strict=True)
    ]
    return xp.sum(terms[0] + terms[1], axis=1)


def _check_unit(values: Array, first_row: int, what: str, hint: str) -> None:
    xp = namespace(values)
    outside = xp.any((values < 0) | (values > 1), axis=1)
    if bool(xp.any(outside)):
        row = first_true(outside)
        low, high = float(xp.min(values[row, :])), float(xp.max(values[row, :]))
        raise PruneKitError(
            f"{what} must lie in [0, 1]; got {low if low < 0 else high:.6g} in row {first_row + row}.",
            hint=hint,
        )


def _check_hard(xp: Any, labels: Array, first_row: int) -> None:
    soft = xp.any((labels != 0) & (labels != 1), axis=1)
    if bool(xp.any(soft)):
        raise PruneKitError(
            f"margin, logit_margin must have labels that are 0 or 1; row {first_row + first_true(soft)} of "
            "`labels` has another.",
            hint="use el2n, error_norm, cross_entropy or entropy, or give labels > 0.5",
        )
