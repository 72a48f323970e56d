"""Scores of sequences: one number per token, reduced to one per example over the tokens that count."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import get_args

import numpy as np

from ._lazy import lazy_columns
from ._tasks import check_task
from ._token_blocks import Reduction, columns_of_rows, reduced_rows
from ._token_mask import check_ignore_index, check_mask, check_token_labels, check_token_logits
from .arrays import Array, as_array, beside, float_name, is_dask
from .checks import check_sizes, is_number
from .errors import PruneKitError
from .scores import check_score_names

__all__ = ["TOKEN_SCORES", "el2n_tokens", "reduce_tokens", "token_columns"]

TOKEN_SCORES = ("el2n", "error_l1", "margin", "margin_sum", "logit_margin", "cross_entropy", "entropy")
"""What `token_columns` computes by name. GraNd is not among them: the gradient of a sequence's loss is a sum
over its tokens, and the norm of that sum does not follow from their norms."""


def el2n_tokens(
    logits: object,
    labels: object,
    /,
    *,
    reduce: Reduction = "mean",
    ignore_index: int | None = -100,
    mask: object = None,
    from_logits: bool = True,
) -> Array:
    """EL2N of sequences: that of each token, reduced over the tokens that count.

    Parameters
    ----------
    logits
        Shape (n, t, c), c >= 2, finite where a token counts; what stands elsewhere, NaN included, is not
        read. With ``from_logits=False`` probabilities. Of a causal language model, whose logits are of the
        next token, give ``logits[:, :-1]`` with ``labels[:, 1:]``.
    labels
        Class of each token, integers of shape (n, t): in [0, c), or `ignore_index`.
    reduce
        "mean", which does not grow with the length, "sum", or "max", the hardest token.
    ignore_index
        Label of the tokens that do not count, or None if there is no such label.
    mask
        Shape (n, t), bool or 0 and 1: the tokens that count; those labelled `ignore_index` do not even so.
    from_logits
        Whether `logits` are logits or probabilities.

    Returns
    -------
    Array
        Shape (n,), in [0, sqrt(2)), with "sum" in [0, t * sqrt(2)); higher is harder. Of the library, device
        and float type of `logits`, half precision answered in float32.

    Raises
    ------
    PruneKitError
        For an example without any token that counts, whose row is named: it has no score, and one that is
        made up would select it. As in `el2n` for values and shapes; a row is an example, not a token.

    Examples
    --------
    >>> import numpy as np
    >>> from prune_kit.tokens import el2n_tokens
    >>> logits = np.zeros((2, 3, 2))
    >>> labels = np.array([[0, 1, -100], [1, -100, -100]])
    >>> el2n_tokens(logits, labels, reduce="sum")
    array([1.41421356, 0.70710678])
    """
    return token_columns(
        logits,
        labels,
        scores=("el2n",),
        reduce=reduce,
        ignore_index=ignore_index,
        mask=mask,
        from_logits=from_logits,
    )["el2n"]


def token_columns(
    logits: object,
    labels: object,
    /,
    *,
    scores: Sequence[str] = ("el2n",),
    reduce: Reduction = "mean",
    ignore_index: int | None = -100,
    mask: object = None,
    from_logits: bool = True,
) -> dict[str, Array]:
    """Several scores of sequences in one pass over the logits.

    Parameters
    ----------
    logits, labels, reduce, ignore_index, mask, from_logits
        As in `el2n_tokens`.
    scores
        Names out of `TOKEN_SCORES`.

    Returns
    -------
    dict of str to Array
        Each score, (n,); higher is harder.

    Raises
    ------
    PruneKitError
        As in `el2n_tokens`, and for unknown names.

    Examples
    --------
    >>> import numpy as np
    >>> from prune_kit.tokens import token_columns
    >>> logits, labels = np.zeros((1, 3, 2)), np.array([[0, 1, -100]])
    >>> columns = token_columns(logits, labels, scores=("error_l1", "entropy"), reduce="sum")
    >>> {name: column.tolist() for name, column in columns.items()}
    {'error_l1': [2.0], 'entropy': [1.3862943611198906]}
    """
    check_score_names(
        scores, known=TOKEN_SCORES, hint="the norm of a sequence's gradient does not follow from its tokens'"
    )
    check_task("multiclass", scores, from_logits=from_logits)
    _check_reduction(reduce)
    check_ignore_index(ignore_index)
    values = check_token_logits(logits)
    shape = (int(values.shape[0]), int(values.shape[1]))
    others = [check_token_labels(labels, shape)]
    if mask is not None:
        others.append(check_mask(mask, shape))
    compute = partial(
        columns_of_rows,
        names=tuple(scores),
        reduce=reduce,
        ignore_index=ignore_index,
        from_logits=from_logits,
    )
    if not is_dask(values):
        return compute(values, *(beside(other, values) for other in others))
    dtype = np.dtype(float_name(values._meta))
    # One thread: Dask runs chunks side by side.
    return lazy_columns(partial(compute, threads=1), [values, *others], dict.fromkeys(scores, dtype))


def reduce_tokens(scores: object, mask: object, /, *, reduce: Reduction = "mean") -> Array:
    """One score per example from any scores of its tokens.

    Parameters
    ----------
    scores
        Shape (n, t), real, no NaN where a token counts; what stands elsewhere is not read.
    mask
        Shape (n, t), bool or 0 and 1: the tokens that count, such as ``labels != -100``.
    reduce
        "mean", "sum" or "max".

    Returns
    -------
    Array
        Shape (n,), of the library, device and float type of `scores`, half precision answered in float32.

    Raises
    ------
    PruneKitError
        For an example without any token that counts, NaN, and shapes that differ.

    Examples
    --------
    >>> import numpy as np
    >>> from prune_kit.tokens import reduce_tokens
    >>> reduce_tokens(np.array([[1.0, 3.0, np.nan]]), np.array([[True, True, False]]))
    array([2.])
    """
    _check_reduction(reduce)
    values: Array = as_array(scores, "scores")
    check_sizes(values, "scores")
    if values.ndim != 2 or 0 in values.shape or not is_number(values):
        raise PruneKitError(
            f"`scores` must be numbers of shape (n, t); got {tuple(values.shape)}, {values.dtype}.",
            hint="a row per example and a column per token",
        )
    given = check_mask(mask, (int(values.shape[0]), int(values.shape[1])))
    compute = partial(reduced_rows, reduce=reduce)
    if not is_dask(values):
        return compute(values, beside(given, values))["score"]
    return lazy_columns(compute, [values, given], {"score": np.dtype(float_name(values._meta))})["score"]


def _check_reduction(reduce: str) -> None:
    if reduce not in get_args(Reduction):
        raise PruneKitError(
            f'`reduce` must be "mean", "sum" or "max"; got {reduce!r}.', hint='"mean" is the usual one'
        )
