"""Columns of scores for arrays of any library: which way of computing each takes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from . import _formulas as formulas
from ._evaluate import column_type, evaluate
from ._host import host_columns
from ._lazy import lazy_columns
from ._tasks import Task, check_input, check_task
from .arrays import (
    Array,
    beside,
    dtype_name,
    float_name,
    is_dask,
    like,
    namespace,
    on_host,
    row_slices,
    to_numpy,
)
from .checks import check_logits

DEVICE_BLOCK_ELEMENTS = 1 << 25
"""Logits that are computed at a time on a device: temporaries of 128 MiB each in float32."""


def columns(
    logits: object,
    labels: object,
    names: Sequence[str],
    *,
    from_logits: bool = True,
    task: Task = "multiclass",
) -> dict[str, Array]:
    """Columns by name, each (n,), for checked input; `labels` None where no column needs them."""
    check_task(task, names, from_logits=from_logits)
    values, given = check_input(logits, labels, task=task)
    if not is_dask(values):
        if is_dask(given):
            given = to_numpy(given)
        return eager_columns(values, given, names, from_logits=from_logits, task=task)
    compute = partial(_chunk, names=names, from_logits=from_logits, task=task)
    dtype = np.dtype(float_name(values._meta))
    arrays = [values] if given is None else [values, given]
    return lazy_columns(compute, arrays, {name: column_type(name, dtype) for name in names})


def class_probabilities(logits: object, *, from_logits: bool = True) -> Array:
    """Probabilities (n, c), float32, computed in float32 or wider, for logits that have been checked."""
    values = check_logits(logits)
    xp = namespace(values)
    wide = xp.astype(values, getattr(xp, float_name(values)), copy=False)
    return xp.astype(formulas.probabilities(xp, wide, from_logits=from_logits), xp.float32, copy=False)


def _chunk(
    values: Array,
    labels: Array | None = None,
    *,
    names: Sequence[str],
    from_logits: bool,
    task: Task,
    first_row: int,
) -> dict[str, Array]:
    # One thread: Dask runs chunks side by side.
    return eager_columns(
        values, labels, names, from_logits=from_logits, task=task, first_row=first_row, threads=1
    )


def eager_columns(
    values: Array,
    labels: Array | None,
    names: Sequence[str],
    *,
    from_logits: bool,
    task: Task = "multiclass",
    first_row: int = 0,
    threads: int | None = None,
) -> dict[str, Array]:
    """Columns by name of arrays that are no Dask arrays and whose shapes have been checked."""
    if not on_host(values):
        return device_columns(values, labels, names, from_logits=from_logits, task=task, first_row=first_row)
    dtype = np.dtype(float_name(values))
    classes = None if labels is None else to_numpy(labels)
    # NumPy has no bfloat16 of its own, so that torch cannot lend such memory: a part is converted at a time.
    n, c = values.shape
    step = max(1, DEVICE_BLOCK_ELEMENTS // c) if dtype_name(values) == "bfloat16" else n
    parts = [
        host_columns(
            to_numpy(values[part, :]),
            None if classes is None else classes[part],
            names,
            dtype=dtype,
            from_logits=from_logits,
            task=task,
            first_row=first_row + part.start,
            threads=threads,
        )
        for part in row_slices(n, step)
    ]
    whole = parts[0] if len(parts) == 1 else {k: np.concatenate([part[k] for part in parts]) for k in names}
    return {name: like(column, values) for name, column in whole.items()}


def device_columns(
    values: Array,
    labels: Array | None,
    names: Sequence[str],
    *,
    from_logits: bool,
    task: Task = "multiclass",
    first_row: int = 0,
) -> dict[str, Array]:
    """Columns by array API calls alone, without leaving the library or the device of `values`."""
    xp = namespace(values)
    dtype = getattr(xp, float_name(values))
    labels = None if labels is None else beside(labels, values)
    n, c = values.shape
    step = max(1, DEVICE_BLOCK_ELEMENTS // c)
    # What over- or underflows on the way is meant to; only libraries that rest on NumPy would warn.
    with np.errstate(all="ignore"):
        parts = [
            evaluate(
                values[part, :],
                None if labels is None else labels[part, ...],
                names,
                dtype=dtype,
                from_logits=from_logits,
                task=task,
                first_row=first_row + part.start,
            )
            for part in row_slices(n, step)
        ]
    if len(parts) == 1:
        return {name: parts[0][name] for name in names}
    return {name: xp.concat([part[name] for part in parts]) for name in names}
