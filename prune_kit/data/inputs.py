"""Arrays of whatever numbers, as the inputs of models."""

from __future__ import annotations

import numpy as np

from ..arrays import NumpyArray
from ..errors import PruneKitError


def check_array(inputs: NumpyArray, source: str) -> None:
    """Raise PruneKitError unless an array has one row of numbers per example, and images have channels."""
    if inputs.ndim < 2:
        raise PruneKitError(
            f"{source}: inputs must have shape (n, ...), one row per example; got {inputs.shape}.",
            hint="a single feature is of shape (n, 1)",
        )
    if inputs.dtype.kind not in "biuf":
        raise PruneKitError(f"{source}: inputs must be numbers; got dtype {inputs.dtype}.")
    if inputs.dtype == np.uint8 and inputs.ndim == 4 and not {*inputs.shape[1::2]} & {1, 3, 4}:
        raise PruneKitError(
            f"{source}: images must have shape (n, height, width, channels), channels 1, 3 or 4; "
            f"got {inputs.shape}.",
            hint="inputs that are no images can be saved as float32",
        )


def as_inputs(inputs: NumpyArray) -> NumpyArray:
    """Return arrays as inputs: uint8 of 3 or 4 dimensions as images (channels last), all else as float32.

    Images with the channels first, (n, 3, height, width), are turned; grey ones get their one channel.
    """
    if inputs.dtype == np.uint8 and inputs.ndim == 3:
        return inputs[..., np.newaxis]
    if inputs.dtype == np.uint8 and inputs.ndim == 4:
        is_channels_last = inputs.shape[3] in (1, 3, 4)
        return inputs if is_channels_last else np.ascontiguousarray(np.moveaxis(inputs, 1, 3))
    with np.errstate(over="ignore"):  # what becomes infinite is refused later, by id
        return inputs.astype(np.float32, copy=False)


def as_named_input(values: NumpyArray, name: str, source: str) -> NumpyArray:
    """Return one input among several: whole numbers as int64, as tokens are, others as float32."""
    if values.dtype.kind not in "biuf":
        raise PruneKitError(f"{source}: the input {name} must be numbers; got dtype {values.dtype}.")
    with np.errstate(over="ignore"):  # what becomes infinite is refused later, by id
        return values.astype(np.float32 if values.dtype.kind == "f" else np.int64, copy=False)
