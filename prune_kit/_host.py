"""Columns of logits in host memory: blocks of rows that fit the cache, on all cores.

A block is copied once, with classes along the first axis when they are few, so that maxima and sums over
classes run over whole vectors of examples. Nothing but one block per core is ever held beside the
result, and the result of a row depends neither on its block nor on the number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ._evaluate import column_type, evaluate
from ._pages import PageRelease
from ._statistics import Statistics, from_logit_sums
from .arrays import NumpyArray

BLOCK_ELEMENTS = 1 << 18
"""Logits in a block: 1 MiB in float32. Smaller blocks fit a cache better, but cost more calls into NumPy."""

SPAN_ELEMENTS = 1 << 20
"""Logits that a thread takes at a time."""

FEW_CLASSES = 64
"""Up to this many classes, a block is turned so that classes run along the first axis."""


def host_columns(
    values: NumpyArray,
    labels: NumpyArray | None,
    names: Sequence[str],
    *,
    from_logits: bool,
    dtype: np.dtype[Any],
    first_row: int = 0,
    threads: int | None = None,
) -> dict[str, NumpyArray]:
    """Columns by name for `values` (n, c); every score has type `dtype`."""
    n, c = values.shape
    rows = max(1, BLOCK_ELEMENTS // c)
    span = rows * max(1, SPAN_ELEMENTS // (rows * c))
    columns = {name: np.empty(n, column_type(name, dtype)) for name in names}
    pages = PageRelease(values)

    def fill(start: int) -> None:
        kernel = _Kernel(rows, c, dtype)
        stop = min(start + span, n)
        with np.errstate(all="ignore"):
            for a in range(start, stop, rows):
                b = min(a + rows, stop)
                part = evaluate(
                    values[a:b],
                    None if labels is None else labels[a:b],
                    names,
                    dtype=dtype,
                    from_logits=from_logits,
                    first_row=first_row + a,
                    reduce=kernel,
                )
                for name, column in part.items():
                    columns[name][a:b] = column
        pages.release(start, stop)

    starts = range(0, n, span)
    workers = min(len(starts), threads or available_cores())
    if workers == 1:
        for start in starts:
            fill(start)
    else:
        with ThreadPoolExecutor(workers) as pool:
            # In order, so that of several bad rows the first one is named.
            for _ in pool.map(fill, starts):
                pass
    return columns


class _Kernel:
    """The statistics of a block of logits, computed in one buffer that is used again for the next."""

    def __init__(self, rows: int, num_classes: int, dtype: np.dtype[Any]) -> None:
        self.turned = num_classes <= FEW_CLASSES
        # Two columns at least: NumPy adds a single column in another order than many.
        self.buffer = np.empty(max(rows, 2) * num_classes, dtype)
        self.rows = np.arange(rows)

    def __call__(self, logits: NumpyArray, labels: NumpyArray) -> Statistics | None:
        """Statistics of logits (b, c), or None if an entry may not be finite."""
        b, c = logits.shape
        width = max(b, 2)
        if self.turned:
            axis, flat = 0, self.buffer[: c * width]
            shares = flat.reshape(c, width)
            shares[...] = logits.T
            places = labels * width
            places += self.rows[:b]
        else:
            axis, flat = 1, self.buffer[: b * c]
            shares = flat.reshape(b, c)
            shares[...] = logits
            places = self.rows[:b] * c
            places += labels
        own = flat.take(places)
        lowest = flat.min()
        flat[places] = -np.inf
        top = shares.max(axis=axis, keepdims=True)
        # NaN and infinities of either sign survive these; so does an overflow, which costs a closer look.
        if not np.isfinite(lowest + top.max() + own.max()):
            return None
        np.subtract(shares, top, out=shares)
        np.exp(shares, out=shares)
        if self.turned:
            rest = shares.sum(axis=0)[:b]
            np.multiply(shares, shares, out=shares)
            squares = shares.sum(axis=0)[:b]
        else:
            rest = np.einsum("ij->i", shares)
            squares = np.vecdot(shares, shares)
        return from_logit_sums(np, own, top.reshape(-1)[:b], rest, squares)


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
