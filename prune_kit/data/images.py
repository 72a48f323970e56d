"""Encoded images as one uint8 array, decoded by Pillow."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..arrays import NumpyArray
from ..errors import MissingExtraError, PruneKitError, StoreError
from .reader import InputSpec

if TYPE_CHECKING:
    from PIL.Image import Image

_GREY_MODES = ("1", "L", "LA")
_DEEP_MODES = ("I", "F")  # with more than 8 bits a channel, as "I;16"
_ORIENTATION = 0x0112  # the EXIF tag
CHUNK = 64
"""How many images one task decodes."""
_SAMPLE = 64
# Below this, what Pillow does in Python outweighs the decoding, and threads only wait for each other:
# 10,000 JPEGs of 32 x 32 take 1.6 s in one thread and 2.2 s in two.
_THREADS_FROM_BYTES = 3000


def decode_images(
    encoded: Sequence[bytes | Path], names: Sequence[str], image_size: int | None
) -> list[NumpyArray]:
    """Decode images to uint8 arrays of shape (height, width, 1 if grey else 3).

    Photos are turned upright as their EXIF data says, transparency is dropped, palettes become RGB.

    Parameters
    ----------
    encoded
        Image files, as their contents or as paths.
    names
        What to call each in an error.
    image_size
        If given, the short side is resized to it and the centre cut out.

    Raises
    ------
    StoreError
        If an image cannot be read; it is named.
    """
    _pillow()  # a plain error, before any image is blamed
    return [_decode(item, name, image_size) for item, name in zip(encoded, names, strict=True)]


def decoding_threads(encoded: Sequence[bytes | Path]) -> int:
    """How many threads are worth having for such images."""
    sizes = [len(item) if isinstance(item, bytes) else item.stat().st_size for item in encoded[:_SAMPLE]]
    return 1 if sum(sizes) < _THREADS_FROM_BYTES * len(sizes) else min(32, os.cpu_count() or 1)


class FirstImage(NamedTuple):
    """The image whose size all others must have."""

    height: int
    width: int
    name: str

    def spec(self, samples: Iterable[NumpyArray]) -> InputSpec:
        """What all images are: RGB if one of the samples is, each of shape (1, height, width, channels)."""
        channels = next((image.shape[3] for image in samples if image.shape[3] > 1), 1)
        return InputSpec((self.height, self.width, channels), np.dtype(np.uint8))


def stack_images(
    images: Sequence[NumpyArray], names: Sequence[str], source: str, first: FirstImage | None = None
) -> NumpyArray:
    """Put decoded images into one array of shape (n, height, width, channels); grey among RGB becomes RGB.

    Raises
    ------
    PruneKitError
        If they differ in size from the first, of these or of all; two that do are named.
    """
    height, width, first_name = first or FirstImage(images[0].shape[0], images[0].shape[1], names[0])
    for image, name in zip(images, names, strict=True):
        if image.shape[:2] != (height, width):
            raise PruneKitError(
                f"{source}: images must all be of one size; got {height} x {width} ({first_name}) and "
                f"{image.shape[0]} x {image.shape[1]} ({name}).",
                hint="give image_size, for example 32: the short side is resized to it, the centre cut out",
            )
    channels = max(image.shape[2] for image in images)
    stacked = np.empty((len(images), height, width, channels), dtype=np.uint8)
    for row, image in zip(stacked, images, strict=True):
        row[...] = image
    return stacked


def resize_images(images: NumpyArray, image_size: int) -> NumpyArray:
    """Resize the short side of decoded images, (n, height, width, channels), and cut out the centre."""
    from_array = _pillow().fromarray
    channels = images.shape[3]
    if channels not in (1, 3, 4):
        raise PruneKitError(f"images can be resized with 1, 3 or 4 channels; got {channels}.")
    resized = np.empty((len(images), image_size, image_size, channels), dtype=np.uint8)
    for row, image in zip(resized, images, strict=True):
        fitted = _fit(from_array(image[..., 0] if channels == 1 else image), image_size)
        row[...] = np.asarray(fitted).reshape(row.shape)
    return resized


def check_image_size(image_size: int | None) -> None:
    """Raise PruneKitError unless `image_size` is None or a positive integer."""
    if image_size is not None and (type(image_size) is not int or image_size < 1):
        raise PruneKitError(
            f"`image_size` must be a whole number of pixels, at least 1; got {image_size!r}.",
            hint="images become square: image_size x image_size",
        )


def _decode(item: bytes | Path, name: str, image_size: int | None) -> NumpyArray:
    pillow = _pillow()
    try:
        with pillow.open(io.BytesIO(item) if isinstance(item, bytes) else item) as image:
            image.load()
            return _to_array(image, name, image_size)
    except StoreError:
        raise
    except (OSError, EOFError, ValueError, SyntaxError, struct.error, pillow.DecompressionBombError) as error:
        problem = (
            "not an image of a known format" if isinstance(error, pillow.UnidentifiedImageError) else error
        )
        raise StoreError(
            f"cannot read the image {name}: {problem}.",
            hint="is the file complete? Replace it, or leave it out",
        ) from error


def _to_array(image: Image, name: str, image_size: int | None) -> NumpyArray:
    if image.mode.split(";")[0] in _DEEP_MODES:
        raise StoreError(
            f"the image {name} has more than 8 bits per channel (mode {image.mode}).",
            hint="convert it to 8 bits first, so that you choose which range of values is kept",
        )
    if image.getexif().get(_ORIENTATION, 1) != 1:
        from PIL import ImageOps

        image = ImageOps.exif_transpose(image)
    mode = "L" if image.mode in _GREY_MODES else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if image_size is not None:
        image = _fit(image, image_size)
    return np.asarray(image).reshape(image.height, image.width, -1)


def _fit(image: Image, size: int) -> Image:
    from PIL import ImageOps

    if image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), method=_pillow().Resampling.BILINEAR)


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError(
            "reading images needs Pillow, which is not installed.", hint='pip install "prune-kit[data]"'
        ) from error
    return Image
