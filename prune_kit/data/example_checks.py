"""What holds of labelled examples, whether they are held in memory or read a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..arrays import NumpyArray
from ..errors import PruneKitError
from ..ids import some

_BLOCK_BYTES = 1 << 24


def check_inputs(dtype: np.dtype[np.generic], shape: tuple[int, ...], source: str) -> None:
    """Raise PruneKitError unless inputs are uint8 images or float32 features, and there are some."""
    is_image_array = dtype == np.uint8 and len(shape) == 4
    is_feature_array = dtype == np.float32 and len(shape) >= 2
    if 0 in shape or not (is_image_array or is_feature_array):
        raise PruneKitError(
            f"{source}: inputs must be uint8 images of shape (n, height, width, channels) or "
            f"float32 features of shape (n, ...), none of these 0; "
            f"got {dtype} of shape {shape}."
        )


def check_labels(labels: NumpyArray, n: int, names: tuple[str, ...] | None, source: str) -> None:
    """Raise PruneKitError unless labels are `n` class indices, int64, for which there are names."""
    if labels.shape != (n,) or labels.dtype != np.int64:
        raise PruneKitError(
            f"{source}: labels must have shape ({n},), one per input, and be int64; "
            f"got shape {labels.shape}, {labels.dtype}."
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0:
        raise PruneKitError(
            f"{source}: labels must be class indices, 0 or more; got {low}.",
            hint="-1 often marks examples without a label: leave these out",
        )
    if names is not None and high >= len(names):
        raise PruneKitError(
            f"{source}: labels must be below {len(names)}, the number of class names; got {high}."
        )


def check_finite(inputs: NumpyArray, ids: NumpyArray, source: str) -> None:
    """Raise PruneKitError where float32 inputs are NaN or infinite; some of the examples are named."""
    start = 0
    for block in blocks(inputs):
        finite = np.isfinite(block)
        if not finite.all():
            rows = np.flatnonzero(~finite.reshape(len(block), -1).all(axis=1)) + start
            raise PruneKitError(
                f"{source}: inputs must be finite numbers; got NaN or infinity (in float32) in the examples "
                f"with the ids {some(ids[rows].tolist())}.",
                hint="fill in missing values, or leave these examples out",
            )
        start += len(block)


def count_classes(labels: npt.NDArray[np.int64], names: tuple[str, ...] | None) -> int:
    """How many classes there are: as many as have names, else up to the highest label."""
    return int(labels.max()) + 1 if names is None else len(names)


def blocks(array: NumpyArray) -> Iterator[NumpyArray]:
    """Go through a possibly memory-mapped array a few rows at a time."""
    rows = max(1, _BLOCK_BYTES * len(array) // max(array.nbytes, 1))
    for start in range(0, len(array), rows):
        yield array[start : start + rows]
