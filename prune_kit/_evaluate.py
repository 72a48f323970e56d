"""The columns of one block of rows: check its values, then compute every score asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from . import _formulas as formulas
from . import _multilabel, _regression, _soft
from ._statistics import Statistics, statistics
from ._tasks import Task
from .arrays import Array, NumpyArray, namespace, wide_float
from .checks import check_classes, check_finite, check_probabilities, check_soft_labels

Reduce: TypeAlias = Callable[[NumpyArray, NumpyArray, bool], tuple[Statistics, NumpyArray] | None]
"""A faster way from logits (b, c) and labels (b,) to their statistics, and the rows that it cannot do.

It is told whether lead and gap are needed, and answers None where a value is not finite."""

FROM_STATISTICS = {
    "el2n": formulas.el2n,
    "error_l1": formulas.error_l1,
    "margin": formulas.margin,
    "logit_margin": formulas.logit_margin,
    "cross_entropy": formulas.cross_entropy,
    "p_label": formulas.p_label,
}
HARD_ONLY = ("margin", "margin_sum", "logit_margin", "p_label")
WITHOUT_LABELS = ("entropy", "predicted")
OTHER_TASKS = {"multilabel": _multilabel.evaluate, "regression": _regression.evaluate}


def evaluate(
    values: Array,
    labels: Array | None,
    names: Sequence[str],
    *,
    dtype: Any,
    from_logits: bool,
    first_row: int,
    task: Task = "multiclass",
    reduce: Reduce | None = None,
) -> dict[str, Array]:
    """Columns by name for `values` (b, c) and `labels` (b,) or (b, c), all of one library and device.

    Scores have type `dtype`; `first_row` is the number of the first row in what the user gave.
    """
    if task != "multiclass":
        return OTHER_TASKS[task](
            values, labels, names, dtype=dtype, from_logits=from_logits, first_row=first_row
        )
    xp = namespace(values)
    given, values = values, xp.astype(values, dtype, copy=False)
    if from_logits:
        check = partial(check_finite, values, "logits", first_row, given=given)
    else:
        check, reduce = partial(check_probabilities, values, first_row), None
    direct = [name for name in names if name in FROM_STATISTICS]
    if reduce is None or not direct:
        check()
    columns: dict[str, Array] = {}
    if "predicted" in names:
        columns["predicted"] = xp.argmax(values, axis=1)
    if "entropy" in names:
        columns["entropy"] = formulas.entropy(xp, values, from_logits=from_logits)
    rest = [name for name in names if name not in WITHOUT_LABELS]
    if not rest:
        return columns
    if labels is None:
        raise TypeError(f"{rest} need labels")
    hard = labels
    if labels.ndim == 2:
        hard, certain = check_soft_labels(labels, first_row, hard_only=[n for n in rest if n in HARD_ONLY])
    else:
        hard = check_classes(labels, values.shape[1], first_row)
        certain = None
    if direct:
        columns |= _direct(xp, values, hard, direct, from_logits, reduce, check)
    if "margin_sum" in names:
        # Its terms have both signs and cancel where it is near zero: only a wider type keeps its digits.
        wide = xp.astype(values, wide_float(values), copy=False)
        column = formulas.margin_sum(xp, statistics(xp, wide, hard, from_logits=from_logits), values.shape[1])
        columns["margin_sum"] = xp.astype(column, dtype, copy=False)
    if certain is not None:
        soft = _soft.columns(xp, values, labels, rest, from_logits=from_logits)
        columns |= {name: xp.where(certain, columns[name], column) for name, column in soft.items()}
    return columns


def _direct(
    xp: Any,
    values: Array,
    labels: Array,
    names: Sequence[str],
    from_logits: bool,
    reduce: Reduce | None,
    check: Callable[[], None],
) -> dict[str, Array]:
    fast = None if reduce is None else reduce(values, labels, "margin" in names or "logit_margin" in names)
    if fast is None:
        check()
        s = statistics(xp, values, labels, from_logits=from_logits)
        return {name: FROM_STATISTICS[name](xp, s) for name in names}
    s, outside = fast
    columns = {name: FROM_STATISTICS[name](xp, s) for name in names}
    if outside.size:
        check()
        s = statistics(xp, values[outside], labels[outside], from_logits=from_logits)
        for name in names:
            columns[name][outside] = FROM_STATISTICS[name](xp, s)
    return columns


def column_type(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Type of a column where scores have type `dtype`."""
    return np.dtype(np.int64) if name == "predicted" else dtype
