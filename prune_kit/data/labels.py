"""Labels as they are stored, as class indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..arrays import NumpyArray
from ..errors import PruneKitError


def class_indices(
    values: NumpyArray, names: Sequence[str] | None, source: str
) -> tuple[npt.NDArray[np.int64], tuple[str, ...] | None]:
    """Return class indices of shape (n,), and the names of the classes where there are any.

    Strings become indices into their sorted distinct values. Whole numbers are class indices already, of
    whatever numeric type they are stored in; shape (n, 1), as Keras ships some sets, is (n,).

    Raises
    ------
    PruneKitError
        If the labels are neither strings nor whole numbers, or are one-hot.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise PruneKitError(
            f"{source}: labels must have shape (n,), one class index per example; got {values.shape}.",
            hint="turn one-hot or soft labels into class indices with labels.argmax(axis=1)",
        )
    if values.dtype.kind == "O" and all(isinstance(value, str) for value in values):
        values = values.astype(str)
    if values.dtype.kind in "UT":
        classes, indices = np.unique(values, return_inverse=True)
        return indices.astype(np.int64), tuple(classes.tolist())
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.floor(values)).all()):
        raise PruneKitError(
            f"{source}: labels must be class indices or class names; got {values.dtype} with missing or "
            f"broken numbers among them.",
            hint="leave out examples without a label; the kit scores classifiers, not regressions",
        )
    if values.dtype.kind not in "biuf":
        raise PruneKitError(
            f"{source}: labels must be class indices or class names; got dtype {values.dtype}."
        )
    return values.astype(np.int64, copy=False), None if names is None else tuple(names)
