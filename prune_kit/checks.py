"""What bad input gets: checks that several modules share, each with expected, received and hint."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real

from .arrays import HALF_TYPES, Array, as_array, dtype_name, namespace, wide_float
from .errors import PruneKitError

SUM_TOLERANCE = 0.01
"""How far from 1 the rows of a softmax rounded to float16 or bfloat16 may sum."""


def subset_size(n: int, fraction: float | None, count: int | None) -> int:
    """How many of `n` examples `fraction` or `count` asks for: `count`, or `round(fraction * n)`.

    Raises
    ------
    PruneKitError
        Unless exactly one of both is given, `0 <= fraction <= 1` and `0 <= count <= n`.
    """
    if (fraction is None) == (count is None):
        raise PruneKitError(
            f"exactly one of `fraction` and `count` must be given; got fraction={fraction}, count={count}.",
            hint="both say how much is kept, never how much is pruned",
        )
    if fraction is not None:
        if not isinstance(fraction, Real) or isinstance(fraction, bool) or not 0 <= fraction <= 1:
            raise PruneKitError(
                f"`fraction` must be a number from 0 to 1; got {fraction!r}.",
                hint="use `count` to keep a number of examples",
            )
        return round(float(fraction) * n)
    if not isinstance(count, Integral) or isinstance(count, bool) or not 0 <= count <= n:
        raise PruneKitError(
            f"`count` must be a whole number from 0 to the number of examples, {n}; got {count!r}.",
            hint="use `fraction` to keep a share of the examples",
        )
    return int(count)


def is_whole_number(value: object, *, at_least: int) -> bool:
    """Whether `value` is an integer (not a bool) of `at_least` or more."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= at_least


def check_finite(values: Array, name: str, first_row: int, *, given: Array | None = None) -> None:
    """Refuse NaN and infinite entries of `values` (b, ...), naming the first row that has one.

    `given` is what the user gave, where `values` has been converted from it.
    """
    xp = namespace(values)
    if bool(xp.isfinite(xp.min(values)) & xp.isfinite(xp.max(values))):
        return
    flat = xp.reshape(values, (values.shape[0], -1))
    row = first_true(xp.any(~xp.isfinite(flat), axis=1))
    kind = "NaN" if bool(xp.any(xp.isnan(flat[row, :]))) else "an infinity"
    hint = "the model has diverged, or its input has such values"
    if given is not None and dtype_name(given) == "float16":
        hint = f"float16 overflows above 65504: compute and save `{name}` in float32 or bfloat16"
    raise PruneKitError(f"`{name}` must be finite; got {kind} in row {first_row + row}.", hint=hint)


def first_true(flags: Array) -> int:
    """Position of the first true entry of `flags` (b,), which has one."""
    xp = namespace(flags)
    return int(xp.argmax(xp.astype(flags, xp.int32)))


def check_probabilities(values: Array, first_row: int) -> None:
    """Refuse distributions (b, ..., c) that are none, as far as a softmax in float16 or bfloat16 is one."""
    xp = namespace(values)
    check_finite(values, "logits", first_row)
    hint = "these look like logits: leave out from_logits=False"
    negative = xp.reshape(values < 0, (values.shape[0], -1))
    if bool(xp.any(negative)):
        row = first_true(xp.any(negative, axis=1))
        raise PruneKitError(
            f"with from_logits=False, rows must be probabilities; got {float(xp.min(values[row, ...])):.6g} "
            f"in row {first_row + row}.",
            hint=hint,
        )
    sums = xp.reshape(xp.sum(values, axis=-1), (-1,))
    off = xp.abs(sums - 1) > SUM_TOLERANCE
    if bool(xp.any(off)):
        first = first_true(off)
        row = first // (sums.shape[0] // values.shape[0])
        raise PruneKitError(
            f"with from_logits=False, rows must be probabilities and sum to 1; "
            f"row {first_row + row} sums to {float(sums[first]):.6g}.",
            hint=hint,
        )


def check_classes(labels: Array, num_classes: int, first_row: int) -> Array:
    """Integer `labels` (b, ...) in the library's index type, refused outside 0 ... num_classes - 1."""
    xp = namespace(labels)
    labels = xp.astype(labels, xp.arange(1).dtype, copy=False)
    if int(xp.min(labels)) < 0 or int(xp.max(labels)) >= num_classes:
        flat = xp.reshape(labels, (-1,))
        first = first_true((flat < 0) | (flat >= num_classes))
        row, label = first // (flat.shape[0] // labels.shape[0]), int(flat[first])
        if label < 0:
            hint = "drop examples that have no label"
        elif label == num_classes:
            hint = "classes count from 0"
        else:
            hint = "the model has fewer outputs than there are classes"
        raise PruneKitError(
            f"`labels` must lie in 0 ... {num_classes - 1}, the columns of `logits`; "
            f"got {label} in row {first_row + row}.",
            hint=hint,
        )
    return labels


def check_soft_labels(
    labels: Array, first_row: int, *, hard_only: Sequence[str]
) -> tuple[Array, Array | None]:
    """Class of each row of `labels` (b, c), and which rows are one-hot: None if all are.

    Raises
    ------
    PruneKitError
        Where a row is no distribution, or is not one-hot though a score of `hard_only` is asked for.
    """
    xp = namespace(labels)
    labels = xp.astype(labels, wide_float(labels), copy=False)
    check_finite(labels, "labels", first_row)
    negative = xp.any(labels < 0, axis=1)
    sums = xp.sum(labels, axis=1)
    off = negative | (xp.abs(sums - 1) > SUM_TOLERANCE)
    if bool(xp.any(off)):
        row = first_true(off)
        found = "has a negative entry" if bool(negative[row]) else f"sums to {float(sums[row]):.6g}"
        raise PruneKitError(
            "`labels` of shape (n, c) must be distributions over the classes; "
            f"row {first_row + row} {found}.",
            hint="give class numbers of shape (n,), or rows that sum to 1",
        )
    hard = xp.argmax(labels, axis=1)
    certain = xp.all((labels == 0) | (labels == 1), axis=1)
    if bool(xp.all(certain)):
        return hard, None
    if hard_only:
        row = first_true(~certain)
        raise PruneKitError(
            f"{', '.join(hard_only)} must have one class per example; "
            f"row {first_row + row} of `labels` is not one-hot.",
            hint="use el2n, error_norm, cross_entropy or entropy, or give labels.argmax(1)",
        )
    return hard, certain


def check_sizes(x: Array, name: str) -> None:
    """Refuse Dask arrays of unknown length, which no other array could be compared with."""
    if any(size is None or size != size for size in x.shape):
        raise PruneKitError(
            f"`{name}` must know its shape; got {tuple(x.shape)}.", hint="call .compute_chunk_sizes() first"
        )


def check_logits(x: object) -> Array:
    """Logits or probabilities as an array (n, c) of numbers, n >= 1 and c >= 2; values are not looked at."""
    values: Array = as_array(x, "logits")
    check_sizes(values, "logits")
    if values.ndim != 2:
        hint = "give a row per example and a column per class"
        if values.ndim > 2:
            hint += ", for example logits.reshape(-1, logits.shape[-1])"
        raise PruneKitError(f"`logits` must have shape (n, c); got {tuple(values.shape)}.", hint=hint)
    if not is_number(values):
        raise PruneKitError(
            f"`logits` must be real numbers; got {dtype_name(values)}.",
            hint="give the model's outputs as floats",
        )
    n, c = values.shape
    if n == 0 or c == 0:
        raise PruneKitError(
            f"`logits` must not be empty; got shape {(n, c)}.", hint="give at least one example"
        )
    if c == 1:
        raise PruneKitError(
            f"`logits` must have at least 2 classes; got shape {(n, c)}.",
            hint="for a single sigmoid output z, give the two columns [0, z]",
        )
    return values


def check_labels(x: object, shape: tuple[int, int]) -> Array:
    """Labels as integers (n,) or a distribution over classes (n, c); values are not looked at."""
    labels: Array = as_array(x, "labels")
    check_sizes(labels, "labels")
    n, c = shape
    got = tuple(labels.shape)
    if got != (n,) and got != (n, c):
        hint = "give the class of each example, or a distribution over the classes"
        if got == (n, 1):
            hint = "labels.reshape(-1)"
        raise PruneKitError(
            f"`labels` must have shape {(n,)}, one per row of `logits`, or {(n, c)}; got {got}.", hint=hint
        )
    if labels.ndim == 2:
        if not is_number(labels) and dtype_name(labels) != "bool":
            raise PruneKitError(
                f"`labels` of shape (n, c) must be numbers; got {dtype_name(labels)}.",
                hint="give the probability of each class",
            )
    elif not is_number(labels, "integral"):
        hint = "labels.astype('int64') if they are class numbers"
        if dtype_name(labels) == "object" or dtype_name(labels).startswith("str"):
            hint = "np.unique(labels, return_inverse=True)[1] numbers the classes"
        raise PruneKitError(f"`labels` of shape (n,) must be integers; got {dtype_name(labels)}.", hint=hint)
    return labels


def is_number(x: Array, kinds: str | tuple[str, ...] = ("integral", "real floating")) -> bool:
    """Whether the type of `x` is among `kinds`; bool and complex are no real numbers."""
    # NumPy does not know the kind of bfloat16, which other packages add to it.
    if dtype_name(x) in HALF_TYPES:
        return kinds != "integral"
    return bool(namespace(x).isdtype(x.dtype, kinds))
