"""Columns of logits in host memory: blocks of rows that fit the cache, on all cores.

A block is copied once, with classes along the first axis when they are few, so that maxima and sums over
classes run over whole vectors of examples. Nothing but one block per core is ever held beside the
result, and the result of a row depends neither on its block nor on the number of threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ._evaluate import FROM_STATISTICS, column_type, evaluate
from ._pages import PageRelease
from ._statistics import Statistics, lead_of
from ._tasks import Task
from .arrays import NumpyArray, row_slices

SPAN_ELEMENTS = 1 << 21
"""Logits that a thread takes at a time: so many that threads seldom wait for each other's Python code."""

BLOCK_ELEMENTS = 1 << 19
"""Logits of a span that are computed at a time: 2 MiB in float32, near a cache and few calls into NumPy."""

GENERAL_ELEMENTS = 1 << 15
"""Logits that are computed at a time where arrays of their size are made on the way."""

FEW_CLASSES = 64
"""Up to this many classes, a block is turned so that classes run along the first axis."""

IN_KERNEL = {*FROM_STATISTICS, "predicted"}


def host_columns(
    values: NumpyArray,
    labels: NumpyArray | None,
    names: Sequence[str],
    *,
    from_logits: bool,
    dtype: np.dtype[Any],
    task: Task = "multiclass",
    first_row: int = 0,
    threads: int | None = None,
) -> dict[str, NumpyArray]:
    """Columns by name for `values` (n, c); every score has type `dtype`."""
    n, c = values.shape
    threads = threads or available_cores()
    # Shorter spans where there are too few logits for every thread to have a long one.
    span = max(1, min(SPAN_ELEMENTS // c, max(-(-n // threads), BLOCK_ELEMENTS // c)))
    # The kernel works through a span in blocks of its own; what other ways leave behind must fit the cache.
    in_kernel = (
        from_logits and labels is not None and labels.ndim == 1 and all(name in IN_KERNEL for name in names)
    )
    step = span if in_kernel else max(1, GENERAL_ELEMENTS // c)
    columns = {name: np.empty(n, column_type(name, dtype)) for name in names}
    pages = PageRelease(values)
    of_thread = threading.local()

    def fill(start: int) -> None:
        if not hasattr(of_thread, "kernel"):
            of_thread.kernel = _Kernel(min(span, n), c, dtype)
        stop = min(start + span, n)
        with np.errstate(all="ignore"):
            for a in range(start, stop, step):
                part = slice(a, min(a + step, stop))
                filled = evaluate(
                    values[part],
                    None if labels is None else labels[part],
                    names,
                    dtype=dtype,
                    from_logits=from_logits,
                    task=task,
                    first_row=first_row + a,
                    reduce=of_thread.kernel,
                )
                for name, column in filled.items():
                    columns[name][part] = column
        pages.release(start, stop)

    starts = range(0, n, span)
    workers = min(len(starts), threads)
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
    """The statistics of a span of logits, computed in buffers that are used again for the next.

    Exponentials are taken of the logits as they are, which saves the search for each row's largest; rows
    for which they come near the limits of the float type are left to the general way.
    """

    def __init__(self, rows: int, num_classes: int, dtype: np.dtype[Any]) -> None:
        self.step = min(rows, max(1, BLOCK_ELEMENTS // num_classes))
        self.turned = num_classes <= FEW_CLASSES
        # Two columns at least: NumPy adds a single column in another order than many.
        self.shares = np.empty(max(self.step, 2) * num_classes, dtype)
        self.rows = np.arange(rows)
        self.starts = self.rows[: self.step] * num_classes
        self.vectors = np.empty((4, rows), dtype)

    def __call__(
        self, logits: NumpyArray, labels: NumpyArray, with_lead: bool
    ) -> tuple[Statistics, NumpyArray] | None:
        """Statistics of logits (b, c) and the rows where they do not hold; None if NaN or -inf is there."""
        b = len(labels)
        own, others, squares, largest = self.vectors[:, :b]
        sum_up = self._sum_turned if self.turned else self._sum_rows
        for part in row_slices(b, self.step):
            into = own[part], others[part], squares[part], largest[part] if with_lead else None
            if not sum_up(logits[part], labels[part], *into):
                return None
        lead = gap = None
        if with_lead:
            own_logits = logits[self.rows[:b], labels]
            gap = largest - own_logits
            lead = lead_of(np, gap) * np.exp(np.maximum(largest, own_logits))
        # Of such sums, squares and ratios keep all digits in float32; NaN fails every comparison.
        holds = (np.minimum(others, own) > 1e-16) & (np.maximum(others, own) < 1e16)
        norm = np.sqrt(others * others + squares)
        return Statistics(own, others, norm, lead, gap), np.flatnonzero(~holds)

    def _sum_turned(
        self,
        logits: NumpyArray,
        labels: NumpyArray,
        own: NumpyArray,
        others: NumpyArray,
        squares: NumpyArray,
        largest: NumpyArray | None,
    ) -> bool:
        """Fill the vectors of one block, with classes along the first axis; False if NaN or -inf is there."""
        b, c = logits.shape
        width = max(b, 2)
        flat = self.shares[: c * width]
        shares = flat.reshape(c, width)
        shares[...] = logits.T
        if not flat.min() > -np.inf:
            return False
        places = labels * width
        places += self.rows[:b]
        np.exp(flat.take(places), out=own)
        flat[places] = -np.inf
        if largest is not None:
            largest[:] = shares.max(axis=0)[:b]
        np.exp(shares, out=shares)
        others[:] = shares.sum(axis=0)[:b]
        np.multiply(shares, shares, out=shares)
        squares[:] = shares.sum(axis=0)[:b]
        return True

    def _sum_rows(
        self,
        logits: NumpyArray,
        labels: NumpyArray,
        own: NumpyArray,
        others: NumpyArray,
        squares: NumpyArray,
        largest: NumpyArray | None,
    ) -> bool:
        """Fill the vectors of one block, in the layout that it has; False if NaN or -inf is there."""
        b, c = logits.shape
        flat = self.shares[: b * c]
        shares = flat.reshape(b, c)
        places = self.starts[:b] + labels
        if largest is not None:
            shares[...] = logits
            flat[places] = -np.inf
            shares.max(axis=1, out=largest)
        np.exp(logits, out=shares)
        # Quicker than to look for -inf in the logits, which have not been read before.
        if not flat.min() > 0 and not logits.min() > -np.inf:
            return False
        own[:] = flat.take(places)
        flat[places] = 0
        np.einsum("ij->i", shares, out=others)
        np.vecdot(shares, shares, out=squares)
        return True


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
