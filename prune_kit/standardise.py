"""The moments by which images are standardised, channel by channel, as the paper's recipe has it."""

from __future__ import annotations

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
    # From sums of integers: exact, and the image set is never held as floats.
    pixels = images.reshape(-1, images.shape[-1])
    histogram = np.stack([np.bincount(channel, minlength=256) for channel in pixels.T])
    values = np.arange(256)
    mean = histogram @ values / len(pixels)
    std = np.sqrt(histogram @ values**2 / len(pixels) - mean**2)
    return mean, np.where(std > 0, std, 1.0)
