"""Gradients that touch a few rows of a table: embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from .base import in_blocks, squares, taken

_PAIRS = 64
"""Entries up to which comparing all pairs is cheaper than finding equal ones."""


@dataclass(frozen=True)
class TableRows:
    """Row `index[n, t]` of example n's gradient receives `values[n, t]`.

    `index` has shape (b, entries), `values` (b, entries, features); the table (rows, features) is seen as
    `shape`.
    """

    index: Any
    values: Any
    shape: tuple[int, ...]

    def squared_norms(self) -> Any:
        """Entries that name the same row of the same example are added before they are squared."""
        batch, entries, _ = self.values.shape
        if entries == 1:
            return squares(self.values)
        if entries <= _PAIRS:
            return in_blocks(lambda i, j: taken(self, i, j)._pairs(), batch, 3 * entries**2)
        rows = tf.cast(self.shape[0], tf.int64)
        key = tf.cast(self.index, tf.int64) + rows * tf.range(batch, dtype=tf.int64)[:, None]
        unique, place = tf.unique(tf.reshape(key, [-1]))
        values = tf.reshape(self.values, [batch * entries, -1])
        summed = tf.math.unsorted_segment_sum(values, place, tf.size(unique))
        total: Any = tf.math.unsorted_segment_sum(squares(summed), unique // rows, batch)
        return total

    def written_out(self) -> Any:
        """See `Factor`."""
        batch, entries, features = self.values.shape
        key = tf.cast(self.index, tf.int64)
        key += self.shape[0] * tf.range(batch, dtype=tf.int64)[:, None]
        values = tf.reshape(self.values, [batch * entries, features])
        dense = tf.math.unsorted_segment_sum(values, tf.reshape(key, [-1]), batch * self.shape[0])
        return tf.reshape(dense, (batch, *self.shape))

    def _pairs(self) -> Any:
        same = tf.cast(self.index[:, :, None] == self.index[:, None, :], self.values.dtype)
        products = tf.matmul(self.values, self.values, transpose_b=True)
        return tf.maximum(tf.reduce_sum(same * products, axis=[1, 2]), 0)
