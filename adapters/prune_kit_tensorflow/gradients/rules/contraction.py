"""Products summed over shared axes: matmul in all its forms, and einsum."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ..factors import Factor, Outer, Written, wide
from ..layout import Rows, Unsupported, static_shape
from ..source import Use


def matmul(use: Use, g: Any, rows: Rows) -> Factor:
    """MatMul of two matrices, either of which may be transposed."""
    flips = use.op.get_attr("transpose_a"), use.op.get_attr("transpose_b")
    return _contraction(use, g, rows, *_matrices("", "", *flips))


def batch_matmul(use: Use, g: Any, rows: Rows) -> Factor:
    """BatchMatMulV2: matrices in the last two axes, the others broadcast."""
    ranks = [t.shape.rank - 2 for t in use.op.inputs]
    batch = string.ascii_uppercase[: max(ranks)]
    a, b = (batch[len(batch) - rank :] for rank in ranks)
    return _contraction(use, g, rows, *_matrices(a, b, use.op.get_attr("adj_x"), use.op.get_attr("adj_y")))


def _matrices(a: str, b: str, flip_a: bool, flip_b: bool) -> tuple[str, str, str]:
    longest = max(a, b, key=len)
    return a + ("ki" if flip_a else "ik"), b + ("jk" if flip_b else "kj"), longest + "ij"


def einsum(use: Use, g: Any, rows: Rows) -> Factor:
    """Einsum of two tensors."""
    if len(use.op.inputs) != 2:
        raise Unsupported("`Einsum` has other than two inputs")
    inputs, _, output = use.op.get_attr("equation").decode().replace(" ", "").partition("->")
    a, b = inputs.split(",")
    ranks = [t.shape.rank for t in (*use.op.inputs, g)]
    labels = [_without_ellipsis(term, rank) for term, rank in zip((a, b, output), ranks, strict=True)]
    return _contraction(use, g, rows, *labels)


def _without_ellipsis(term: str, rank: int) -> str:
    head, dots, tail = term.partition("...")
    count = rank - len(head) - len(tail)
    # Right-aligned, as broadcasting is; digits are no letters of an equation.
    return head + "9876543210"[10 - count :] * bool(dots) * bool(count) + tail


def _contraction(use: Use, g: Any, rows: Rows, a: str, b: str, out: str) -> Factor:
    own, theirs = (a, b) if use.argument == 0 else (b, a)
    if any(len(set(term)) != len(term) for term in (own, theirs, out)):
        raise Unsupported(f"`{use.op.type}` takes a diagonal")
    x, g = wide(use.other), wide(g)
    shape = use.source.shape
    # What is broadcast from length 1 is as good as absent.
    length = dict(zip(out, static_shape(g), strict=True))
    label = out[rows.axis]
    kept = "".join(
        c for c, n in zip(own, shape, strict=True) if n != 1 or (length.get(c, 1) == 1 and c != label)
    )
    squeezed = [
        i for i, (c, n) in enumerate(zip(theirs, static_shape(x), strict=True)) if n == 1 != length.get(c, 1)
    ]
    if squeezed:
        x = tf.squeeze(x, squeezed)
        theirs = "".join(c for i, c in enumerate(theirs) if i not in squeezed)
    if label in kept or label not in theirs:
        raise Unsupported(f"`{use.op.type}` has examples along an axis of a parameter")
    x, g = rows.on(theirs.index(label)).first(x), rows.first(g)
    alone = [i + 1 for i, c in enumerate(theirs) if c not in kept and c not in out]
    if alone:
        x = tf.reduce_sum(x, alone)
        theirs = "".join(c for c in theirs if c in kept or c in out)
    if any(c not in theirs and c not in out for c in kept):
        raise Unsupported(f"`{use.op.type}` sums a parameter over an axis of its own")
    if any(c in theirs and c in out for c in kept):
        return Written(_written(x, g, theirs, out, kept, shape))
    positions = [c for c in theirs if c in out]
    inputs = [c for c in kept if c in theirs]
    outputs = [c for c in kept if c in out]
    return Outer(
        _matrix(x, theirs, positions, inputs),
        _matrix(g, out, positions, outputs),
        shape,
        tuple(own.index(c) for c in inputs),
        tuple(own.index(c) for c in outputs),
    )


def _matrix(tensor: Any, labels: str, positions: Sequence[str], features: Sequence[str]) -> Any:
    """Shape (b, positions, features)."""
    order = [labels.index(c) + 1 for c in (*positions, *features)]
    size = tensor.shape.as_list()
    if order != sorted(order):
        tensor = tf.transpose(tensor, [0, *order])
    columns = math.prod(size[labels.index(c) + 1] for c in features)
    return tf.reshape(tensor, (size[0], math.prod(size[1:]) // columns, columns))


def _written(x: Any, g: Any, theirs: str, out: str, kept: str, shape: tuple[int, ...]) -> Any:
    """Axes that all three share: one product for each of their indices."""
    letters = dict(zip(dict.fromkeys(theirs + out + kept), string.ascii_lowercase, strict=False))
    terms = ("".join(letters[c] for c in term) for term in (theirs, out, kept))
    left, right, result = terms
    return tf.reshape(tf.einsum(f"Z{left},Z{right}->Z{result}", x, g), (-1, *shape))
