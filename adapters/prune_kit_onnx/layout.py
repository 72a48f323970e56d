"""Where the channels of images are, in the data and in the model."""

from __future__ import annotations

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError

from .options import Layout
from .signature import TensorSpec

_TO_NCHW = (0, 3, 1, 2)
_TO_NHWC = (0, 2, 3, 1)
_CHANNELS = (1, 3, 4)


def channels_last(images: NumpyArray) -> NumpyArray:
    """Bytes of images as (n, height, width, channels), whichever way they were given.

    Raises
    ------
    PruneKitError
        If there are 1, 3 or 4 channels neither first nor last.
    """
    if images.shape[3] in _CHANNELS:
        return images
    if images.shape[1] in _CHANNELS:
        return images.transpose(_TO_NHWC)
    raise PruneKitError(
        "images must have shape (n, height, width, channels) or (n, channels, height, width), with 1, 3 or 4 "
        f"channels; got {images.shape}."
    )


def laid_out(images: NumpyArray, spec: TensorSpec, layout: Layout | None) -> NumpyArray:
    """Images (b, height, width, channels) as the model's input has them; grey ones without channels too.

    Parameters
    ----------
    images
        Shape (b, height, width, channels).
    spec
        The model's input.
    layout
        What the user chose; None to tell from the shape of the input, where it has no sizes: NCHW.

    Raises
    ------
    PruneKitError
        If the input has another shape.
    """
    if len(spec.shape) == 3 and images.shape[3] == 1 and fits(images.shape[:3], spec):
        return images[..., 0]
    first = tuple(images.shape[i] for i in _TO_NCHW)
    fitting = [name for name, shape in (("NCHW", first), ("NHWC", images.shape)) if fits(shape, spec)]
    if layout is not None:
        fitting = [name for name in fitting if name == layout]
    if not fitting:
        raise PruneKitError(
            f"the model takes {spec}{f', read as {layout}' if layout else ''}; the images of the data are "
            f"{images.shape[1]} x {images.shape[2]} with {images.shape[3]} channels.",
            hint="image_size (--image-size) resizes images; the number of channels must be the model's own",
        )
    if len(fitting) == 2 and spec.shape[3] == images.shape[3] and spec.shape[1] is None:
        return images  # of the sizes, the channels alone are fixed, and they are last
    return images.transpose(_TO_NCHW) if fitting[0] == "NCHW" else images


def fits(shape: tuple[int, ...], spec: TensorSpec) -> bool:
    """Whether an array of this shape can be the model's input, whatever its batch."""
    return len(shape) == len(spec.shape) and all(
        wanted in (None, size) for size, wanted in zip(shape[1:], spec.shape[1:], strict=True)
    )
