"""What bad input gets: checks that several modules share, each with expected, received and hint."""

from __future__ import annotations

from numbers import Integral, Real

from .errors import PruneKitError


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
