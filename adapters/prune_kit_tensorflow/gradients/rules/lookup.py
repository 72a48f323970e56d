"""Rows of a table, by number."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from ..factors import Factor, TableRows, wide
from ..layout import Rows, Unsupported, static_shape
from ..rearrange import constant
from ..source import Use


def gather(use: Use, g: Any, rows: Rows) -> Factor:
    """Rows picked along the first axis."""
    if use.argument != 0 or int(constant(use.op.inputs[2])) or use.op.get_attr("batch_dims"):
        raise Unsupported("`GatherV2` picks along another axis than the first")
    return _looked_up(use, g, rows)


def resource_gather(use: Use, g: Any, rows: Rows) -> Factor:
    """Rows picked from the variable without reading all of it."""
    if use.op.get_attr("batch_dims"):
        raise Unsupported("`ResourceGather` picks along another axis than the first")
    return _looked_up(use, g, rows)


def _looked_up(use: Use, g: Any, rows: Rows) -> Factor:
    index = use.op.inputs[1]
    if rows.axis >= len(static_shape(index)):
        raise Unsupported(f"`{use.op.type}` has no index of its own for each example")
    shape = use.source.shape
    index = tf.reshape(rows.first(index), (rows.batch, -1))
    values = tf.reshape(rows.first(wide(g)), (rows.batch, index.shape[1], math.prod(shape[1:])))
    return TableRows(index, values, shape)
