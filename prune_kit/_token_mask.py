"""Which tokens of a sequence count: what is neither masked nor labelled as ignored."""

from __future__ import annotations

from numbers import Integral

from .arrays import Array, as_array, dtype_name, namespace
from .checks import check_sizes, first_true, is_number
from .errors import PruneKitError


def check_token_logits(x: object) -> Array:
    """Logits or probabilities as an array (n, t, c) of numbers, c >= 2; values are not looked at."""
    values: Array = as_array(x, "logits")
    check_sizes(values, "logits")
    if values.ndim != 3:
        raise PruneKitError(
            f"`logits` of sequences must have shape (n, t, c); got {tuple(values.shape)}.",
            hint="el2n takes (n, c)" if values.ndim == 2 else "examples, then tokens, then classes",
        )
    if not is_number(values):
        raise PruneKitError(
            f"`logits` must be real numbers; got {dtype_name(values)}.",
            hint="give the model's outputs as floats",
        )
    if 0 in values.shape or values.shape[2] == 1:
        raise PruneKitError(
            f"`logits` must have an example, a token and two classes; got shape {tuple(values.shape)}.",
            hint="for a single sigmoid output z, give the two classes [0, z]",
        )
    return values


def check_token_labels(x: object, shape: tuple[int, int]) -> Array:
    """Labels as integers (n, t); values are not looked at."""
    labels: Array = as_array(x, "labels")
    check_sizes(labels, "labels")
    if tuple(labels.shape) != shape:
        hint = "give the class of each token"
        if labels.ndim == 3:
            hint = "for soft labels, give el2n the tokens as rows, and its scores (n, t) to reduce_tokens"
        raise PruneKitError(
            f"`labels` must have shape {shape}, one per token of `logits`; got {tuple(labels.shape)}.",
            hint=hint,
        )
    if not is_number(labels, "integral"):
        raise PruneKitError(
            f"`labels` must be integers; got {dtype_name(labels)}.",
            hint="labels.astype('int64') if they are class numbers",
        )
    return labels


def check_mask(x: object, shape: tuple[int, int]) -> Array:
    """Mask of tokens (n, t), of bool or integers; values are not looked at."""
    mask: Array = as_array(x, "mask")
    check_sizes(mask, "mask")
    if tuple(mask.shape) != shape or not (dtype_name(mask) == "bool" or is_number(mask, "integral")):
        raise PruneKitError(
            f"`mask` must be bool (or 0 and 1) of shape {shape}; got {dtype_name(mask)}, "
            f"{tuple(mask.shape)}.",
            hint="true, or 1, for the tokens that count",
        )
    return mask


def check_ignore_index(ignore_index: object) -> None:
    """Refuse what no label could equal."""
    if ignore_index is not None and (
        isinstance(ignore_index, bool) or not isinstance(ignore_index, Integral)
    ):
        raise PruneKitError(
            f"`ignore_index` must be an integer or None; got {ignore_index!r}.",
            hint="-100 is what PyTorch and Hugging Face ignore",
        )


def counted_tokens(
    labels: Array | None, mask: Array | None, *, ignore_index: int | None, first_row: int
) -> Array:
    """Whether each token (b, t) counts, for `labels` and `mask` (b, t), of which one at least is given.

    Raises
    ------
    PruneKitError
        For an example without any token that counts, and a mask of other numbers than 0 and 1.
    """
    counted: Array = None
    if mask is not None:
        xp = namespace(mask)
        if dtype_name(mask) != "bool":
            other = xp.any((mask != 0) & (mask != 1), axis=1)
            if bool(xp.any(other)):
                raise PruneKitError(
                    f"`mask` must be 0 or 1; row {first_row + first_true(other)} has another number.",
                    hint="1 for the tokens that count, as in an attention mask",
                )
        counted = xp.astype(mask, xp.bool, copy=False)
    if labels is not None and ignore_index is not None:
        kept = labels != ignore_index
        counted = kept if counted is None else counted & kept
    if counted is None:
        return namespace(labels).ones_like(labels, dtype=namespace(labels).bool)
    empty = ~namespace(counted).any(counted, axis=1)
    if bool(namespace(counted).any(empty)):
        raise PruneKitError(
            f"each example must have a token that counts; row {first_row + first_true(empty)} has none.",
            hint="leave such examples out: no score would say anything about them",
        )
    return counted
