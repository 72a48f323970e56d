"""Scores of real-valued predictions: norms of the residual, prediction less target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._norms import row_norms
from .arrays import Array, namespace, wide_float
from .checks import check_finite


def evaluate(
    values: Array,
    labels: Array | None,
    names: Sequence[str],
    *,
    dtype: Any,
    from_logits: bool,
    first_row: int,
) -> dict[str, Array]:
    """Columns by name for predictions (b, d) and targets (b, d), both of one library and device.

    Subtracted in the widest float, for a target rounded to the type of the predictions would be another.
    """
    if labels is None:
        raise TypeError(f"{list(names)} need labels")
    xp = namespace(values)
    wide = xp.astype(values, wide_float(values), copy=False)
    check_finite(wide, "logits", first_row, given=values)
    targets = xp.astype(labels, wide.dtype, copy=False)
    check_finite(targets, "labels", first_row, given=labels)
    residuals = wide - targets
    columns: dict[str, Array] = {}
    if "el2n" in names:
        columns["el2n"] = row_norms([residuals], "logits - labels", first_row=first_row)
    if "error_l1" in names:
        columns["error_l1"] = xp.sum(xp.abs(residuals), axis=1)
    return {name: xp.astype(column, dtype, copy=False) for name, column in columns.items()}
