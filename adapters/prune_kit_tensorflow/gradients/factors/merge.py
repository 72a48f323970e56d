"""One tensor used several times: the sum of its gradients, whose norm has cross terms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from .base import Factor, in_blocks, squares, taken
from .outer import Outer
from .table import TableRows
from .written import Written


@dataclass(frozen=True)
class Transposed:
    """The gradients of a matrix's transpose."""

    of: Factor

    def squared_norms(self) -> Any:
        """See `Factor`."""
        return self.of.squared_norms()

    def written_out(self) -> Any:
        """See `Factor`."""
        return tf.linalg.matrix_transpose(self.of.written_out())


@dataclass(frozen=True)
class Sum:
    """The sum of gradients in different forms, each of `shape`, for `batch` examples."""

    parts: tuple[Factor, ...]
    shape: tuple[int, ...]
    batch: int

    def squared_norms(self) -> Any:
        """Closed form for an embedding table that is also a dense kernel; written out otherwise."""
        kinds = {type(part): part for part in self.parts}
        rows, outer = kinds.get(TableRows), kinds.get(Outer)
        if len(self.parts) == 2 and isinstance(rows, TableRows) and isinstance(outer, Outer):
            own = rows.squared_norms() + outer.squared_norms()
            return tf.maximum(own + 2 * _inner(rows, outer), 0)
        return in_blocks(
            lambda i, j: squares(taken(self, i, j).written_out()), self.batch, 3 * math.prod(self.shape)
        )

    def written_out(self) -> Any:
        """See `Factor`."""
        return tf.add_n([part.written_out() for part in self.parts])


def _inner(rows: TableRows, outer: Outer) -> Any:
    """Inner product of both gradients of each example: sum over entries of value . (gradient[index])."""
    outer = outer if outer.rows == (0,) else outer.swapped()
    batch, positions, _ = outer.left.shape

    def compute(start: int, stop: int) -> Any:
        r, o = taken(rows, start, stop), taken(outer, start, stop)
        at = tf.gather(o.left, r.index, axis=2, batch_dims=1)  # (b, positions, entries)
        seen = tf.matmul(o.right, r.values, transpose_b=True)  # (b, positions, entries)
        return tf.reduce_sum(at * seen, axis=[1, 2])

    return in_blocks(compute, batch, 3 * positions * rows.values.shape[1])


def transposed(factor: Factor) -> Factor:
    """The same gradients, for the transposed matrix."""
    if isinstance(factor, Outer) and len(factor.shape) == 2:
        swap = {0: 1, 1: 0}
        rows, columns = (tuple(swap[a] for a in axes) for axes in (factor.rows, factor.columns))
        return Outer(factor.left, factor.right, factor.shape[::-1], rows, columns)
    return Transposed(factor)


def merge(factors: Sequence[Factor], shape: tuple[int, ...], batch: int) -> Factor:
    """One factor for the sum of `factors`, in the cheapest form that holds it."""
    if len(factors) == 1:
        return factors[0]
    groups: dict[tuple[int, ...], list[Outer]] = {}
    for f in factors:
        if isinstance(f, Outer):
            alike = f.swapped() if f.columns in groups else f
            groups.setdefault(alike.rows, []).append(alike)
    tables = [f for f in factors if isinstance(f, TableRows)]
    dense = [f.values for f in factors if isinstance(f, Written)]
    parts: list[Factor] = []
    for outers in groups.values():
        left, right = (tf.concat(list(t), 1) for t in zip(*((f.left, f.right) for f in outers), strict=True))
        parts.append(Outer(left, right, outers[0].shape, outers[0].rows, outers[0].columns))
    if tables:
        index, values = (
            tf.concat(list(t), 1)
            for t in zip(*((tf.cast(f.index, tf.int64), f.values) for f in tables), strict=True)
        )
        parts.append(TableRows(index, values, tables[0].shape))
    if dense:
        parts.append(Written(tf.add_n(dense)))
    parts.extend(f for f in factors if not isinstance(f, Outer | TableRows | Written))
    return parts[0] if len(parts) == 1 else Sum(tuple(parts), shape, batch)
