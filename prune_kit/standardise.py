"""The moments by which images are standardised, channel by channel, as the paper's recipe has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from .arrays import NumpyArray


def channel_moments(images: NumpyArray, /) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation of each channel, each of shape (channels,).

    Parameters
    ----------
    images
        uint8, shape (n, height, width, channels).

    Returns
    -------
    mean, std
        Of the values 0 to 255; a channel that has one value only has a deviation of 1, so that it can be
        divided by.
    """
    return channel_moments_of([images])


def channel_moments_of(
    batches: Iterable[NumpyArray], /
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation of each channel of images that come in batches.

    Parameters
    ----------
    batches
        At least one, each as for `channel_moments`.

    Returns
    -------
    mean, std
        As `channel_moments` gives them, to the last bit, however the images are cut into batches.
    """
    # From sums of integers: exact, and the image set is never held as floats.
    histogram: Any = 0
    for images in batches:
        channels = images.reshape(-1, images.shape[-1]).T
        histogram = histogram + np.stack([np.bincount(channel, minlength=256) for channel in channels])
    values = np.arange(256)
    pixels = histogram[0].sum()
    mean = histogram @ values / pixels
    std = np.sqrt(histogram @ values**2 / pixels - mean**2)
    return mean, np.where(std > 0, std, 1.0)
