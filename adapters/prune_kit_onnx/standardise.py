"""Bytes of images to the floats that a model takes: as the user says, else standardised per channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError
from prune_kit.standardise import channel_moments_of

from .options import ModelOptions
from .signature import TensorSpec
from .sources import Source


@dataclass(frozen=True)
class Standardise:
    """(inputs * scale - mean) / std, over the last axis, in float32.

    Attributes
    ----------
    scale : float
    mean, std : float32 arrays of shape (1,) or (channels,)
    """

    scale: float
    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]

    def __call__(self, inputs: NumpyArray) -> NumpyArray:
        """Inputs of shape (b, ..., channels) as float32.

        Raises
        ------
        PruneKitError
            If there is another number of channels.
        """
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values.shape[0] not in (1, inputs.shape[-1]):
                raise PruneKitError(
                    f"`{name}` has {values.shape[0]} numbers; the inputs have {inputs.shape[-1]} channels.",
                    hint="give one number, or one per channel",
                )
        result = inputs.astype(np.float32)
        if self.scale != 1:
            result *= np.float32(self.scale)
        result -= self.mean
        result /= self.std
        return result

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, for run.json."""
        return {"scale": self.scale, "mean": self.mean.tolist(), "std": self.std.tolist()}


def standardisation(source: Source, inputs: list[TensorSpec], options: ModelOptions) -> Standardise | None:
    """What the inputs of the model are made with; None where they go in as they are.

    Raises
    ------
    PruneKitError
        If the user says how, and the model has several inputs or takes whole numbers; or means a scale of
        0 to 1 for bytes.
    """
    takes_floats = len(inputs) == 1 and inputs[0].dtype.kind == "f"
    if options.says_how_to_standardise:
        if not takes_floats:
            raise PruneKitError(
                "`scale`, `mean` and `std` are for a model of one input of floats; "
                f"it takes {'; '.join(map(str, inputs))}.",
                hint="leave them out: these inputs go into the model as they are",
            )
        return _as_said(options, source.is_images)
    if source.is_images and takes_floats:
        return channel_standardisation(source)
    return None


def channel_standardisation(source: Source) -> Standardise:
    """Mean 0 and standard deviation 1 per channel of images, as the paper's recipe has it."""
    mean, std = channel_moments_of(cast(NumpyArray, each) for _, each, _ in source.batches(1024))
    return Standardise(1.0, mean.astype(np.float32), std.astype(np.float32))


def _as_said(options: ModelOptions, is_images: bool) -> Standardise:
    mean = np.atleast_1d(np.asarray(0.0 if options.mean is None else options.mean, np.float32))
    std = np.atleast_1d(np.asarray(1.0 if options.std is None else options.std, np.float32))
    if is_images and options.scale is None and std.max() < 1:
        raise PruneKitError(
            f"`std` of {std.tolist()} is for pixels of 0 to 1; those of the data are bytes, of 0 to 255.",
            hint="give scale=1/255 as well (--scale 1/255)",
        )
    return Standardise(1.0 if options.scale is None else float(options.scale), mean, std)
