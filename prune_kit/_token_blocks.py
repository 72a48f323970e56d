"""Sequences, block by block: check the tokens that count, score every token, reduce over those that count.

A mapped array costs no more memory than a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from ._columns import eager_columns
from ._pages import PageRelease
from ._token_mask import counted_tokens
from .arrays import Array, device_of, float_name, namespace, row_slices, wide_float
from .checks import check_classes, check_finite, check_probabilities, first_true
from .errors import PruneKitError

BLOCK_ELEMENTS = 1 << 23
"""Logits that are computed at a time: 32 MiB in float32, enough for all cores."""

Reduction: TypeAlias = Literal["mean", "sum", "max"]
"""How an example's score follows from those of its tokens."""


def columns_of_rows(
    values: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    names: Sequence[str],
    reduce: Reduction,
    ignore_index: int | None,
    from_logits: bool,
    first_row: int = 0,
    threads: int | None = None,
) -> dict[str, Array]:
    """Columns by name of sequences (n, t, c), whose shapes and types have been checked."""
    xp = namespace(values)
    n, t, c = values.shape
    pages = PageRelease(values) if isinstance(values, np.ndarray) else None
    parts = []
    for rows in row_slices(n, max(1, BLOCK_ELEMENTS // (t * c))):
        # The type of an index, in which every label differs from one that is to be ignored.
        classes = xp.astype(labels[rows, :], xp.arange(1).dtype, copy=False)
        counted = counted_tokens(
            classes,
            None if mask is None else mask[rows, :],
            ignore_index=ignore_index,
            first_row=first_row + rows.start,
        )
        pieces = [
            _token_scores(
                xp,
                values[rows, tokens, :],
                classes[:, tokens],
                counted[:, tokens],
                names,
                from_logits=from_logits,
                first_row=first_row + rows.start,
                threads=threads,
            )
            for tokens in row_slices(t, max(1, BLOCK_ELEMENTS // c))
        ]
        whole = {name: xp.concat([piece[name] for piece in pieces], axis=1) for name in names}
        parts.append({name: _reduced(xp, column, counted, reduce) for name, column in whole.items()})
        if pages is not None:
            pages.release(rows.start, rows.stop)
    return {name: xp.concat([part[name] for part in parts]) for name in names}


def _token_scores(
    xp: Any,
    given: Array,
    labels: Array,
    counted: Array,
    names: Sequence[str],
    *,
    from_logits: bool,
    first_row: int,
    threads: int | None,
) -> dict[str, Array]:
    """Scores (b, t) of logits (b, t, c); those of tokens that do not count say nothing."""
    b, t, c = given.shape
    # Values that pass every check, as logits and as probabilities, for padding may hold anything.
    neutral = xp.astype(xp.arange(c, device=device_of(given)) == 0, given.dtype)
    values = xp.where(counted[:, :, None], given, neutral[None, None, :])
    classes = xp.where(counted, labels, xp.zeros_like(labels))
    # Here and not in the scores alone, where a row would be a token.
    wide = xp.astype(values, getattr(xp, float_name(values)), copy=False)
    check_finite(wide, "logits", first_row, given=values)
    if not from_logits:
        check_probabilities(wide, first_row)
    classes = check_classes(classes, c, first_row)
    columns = eager_columns(
        xp.reshape(wide, (b * t, c)),
        xp.reshape(classes, (b * t,)),
        names,
        from_logits=from_logits,
        threads=threads,
    )
    return {name: xp.reshape(column, (b, t)) for name, column in columns.items()}


def reduced_rows(scores: Array, mask: Array, *, reduce: Reduction, first_row: int = 0) -> dict[str, Array]:
    """Reduce scores (n, t), in their own float type, over the tokens of `mask`; the column is "score"."""
    xp = namespace(scores)
    counted = counted_tokens(None, mask, ignore_index=None, first_row=first_row)
    values = xp.astype(scores, getattr(xp, float_name(scores)), copy=False)
    unknown = xp.any(counted & xp.isnan(values), axis=1)
    if bool(xp.any(unknown)):
        raise PruneKitError(
            f"`scores` must not have NaN where a token counts; got one in row "
            f"{first_row + first_true(unknown)}.",
            hint="the model has diverged, or the mask is that of other sequences",
        )
    return {"score": _reduced(xp, values, counted, reduce)}


def _reduced(xp: Any, scores: Array, counted: Array, reduce: Reduction) -> Array:
    """Scores (b, t) over the tokens that count, at least one in each row; added in the widest float."""
    wide = xp.astype(scores, wide_float(scores), copy=False)
    if reduce == "max":
        result = xp.max(xp.where(counted, wide, xp.full_like(wide, -float("inf"))), axis=1)
    else:
        result = xp.sum(xp.where(counted, wide, xp.zeros_like(wide)), axis=1)
        if reduce == "mean":
            result = result / xp.sum(xp.astype(counted, wide.dtype), axis=1)
    return xp.astype(result, scores.dtype, copy=False)
