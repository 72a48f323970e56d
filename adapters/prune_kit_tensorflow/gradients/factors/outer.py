"""A sum of outer products over positions: the kernel of a dense layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from .base import in_blocks, squares, taken


@dataclass(frozen=True)
class Outer:
    """As a matrix, gradient[n] is `left[n].T @ right[n]`.

    `left` (b, positions, rows), `right` (b, positions, columns). The gradient has `shape`, of which the axes
    `rows` make the matrix's rows and `columns` its columns; axes of length 1 may be in neither.
    """

    left: Any
    right: Any
    shape: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    def swapped(self) -> Outer:
        """The same, seen as the transposed matrix."""
        return Outer(self.right, self.left, self.shape, self.columns, self.rows)

    def squared_norms(self) -> Any:
        """Directly, or as the sum of `(a a^T) * (g g^T)`, which never forms the gradient."""
        batch, positions, rows = self.left.shape
        columns = self.right.shape[2]
        if positions == 1:
            return squares(self.left) * squares(self.right)
        gram = positions**2 * (rows + columns + 12)
        direct = positions * rows * columns + 12 * rows * columns
        if gram <= direct:
            return in_blocks(lambda i, j: taken(self, i, j)._gram(), batch, 3 * positions**2)
        return in_blocks(lambda i, j: squares(taken(self, i, j)._matrix()), batch, 2 * rows * columns)

    def written_out(self) -> Any:
        """See `Factor`."""
        axes = [*self.rows, *self.columns]
        if math.prod(self.shape[a] for a in axes) != math.prod(self.shape):
            raise AssertionError(f"rows {self.rows} and columns {self.columns} must make up {self.shape}")
        dense = tf.reshape(self._matrix(), (-1, *(self.shape[a] for a in axes)))
        if axes != sorted(axes):
            places = [axes.index(a) for a in sorted(axes)]
            dense = tf.transpose(dense, [0, *(place + 1 for place in places)])
        return tf.reshape(dense, (-1, *self.shape))

    def _matrix(self) -> Any:
        return tf.matmul(self.left, self.right, transpose_a=True)

    def _gram(self) -> Any:
        left = tf.matmul(self.left, self.left, transpose_b=True)
        right = tf.matmul(self.right, self.right, transpose_b=True)
        # The sum is not negative but for rounding, which the square root would turn into NaN.
        return tf.maximum(tf.reduce_sum(left * right, axis=[1, 2]), 0)
