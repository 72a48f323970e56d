"""What every way of choosing shares: scores as NumPy, the exact border in a stable order, the result."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import numpy.typing as npt

from .arrays import Array, NumpyArray, as_array, like, to_numpy
from .classes import Positions
from .errors import PruneKitError
from .ids import check_ids, some

Mask = npt.NDArray[np.bool_]


def as_scores(scores: object) -> tuple[Array, NumpyArray]:
    """Return the scores as they came, and as NumPy, where all selection is done."""
    reference = as_array(scores, "scores")
    values = to_numpy(reference)
    if values.dtype.name == "bfloat16":  # JAX's, which NumPy cannot sort
        values = values.astype(np.float32)
    if values.ndim != 1 or values.size == 0:
        raise PruneKitError(
            f"`scores` must have shape (n,), n at least 1, one per example; got {values.shape}.",
            hint="average several seeds first, with mean_over_seeds(scores)" if values.ndim == 2 else None,
        )
    if values.dtype.kind not in "iuf":
        raise PruneKitError(f"`scores` must be real numbers; got dtype {values.dtype}.")
    if values.dtype.kind == "f" and (nans := np.isnan(values)).any():
        positions = np.flatnonzero(nans)
        raise PruneKitError(
            f"`scores` must not be NaN; {positions.size} of {values.size} are, at positions "
            f"{some(positions.tolist())}.",
            hint="a NaN has no rank; find out where the scores come from, or leave these examples out",
        )
    return reference, values


def between(values: NumpyArray, start: int, stop: int) -> Mask:
    """Mark `argsort(values, kind="stable")[start:stop]`."""
    mask = lowest(values, stop)
    mask &= ~lowest(values, start)
    return mask


def lowest(values: NumpyArray, k: int) -> Mask:
    """Mark the `k` lowest, ties by position.

    A partition finds the score at the border in linear time; only the ties there need their positions.
    """
    if k == 0 or k == values.size:
        return np.full(values.size, k > 0)
    border = np.partition(values, k - 1)[k - 1]
    mask = values < border
    ties = np.flatnonzero(values == border)
    mask[ties[: k - np.count_nonzero(mask)]] = True
    return np.asarray(mask)


def answer(kept: Positions, reference: Array, n: int, ids: object) -> Array:
    """The kept positions, or the ids there, in the library of `reference`."""
    if ids is None:
        return like(kept, reference)
    names = check_ids(ids, n)
    return names[kept] if names.dtype.kind in "UT" else like(names[kept], reference)


def check_selection_seed(seed: int) -> None:
    """Refuse what is no seed of a random choice."""
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise PruneKitError(
            f"`seed` must be a whole number, 0 or more; got {seed!r}.",
            hint="the same seed gives the same subset",
        )
