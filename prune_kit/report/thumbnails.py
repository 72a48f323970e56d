"""Images small enough for a page, as data: addresses."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import NumpyArray
from .needs import package

EDGE = 96
"""The longest side of a thumbnail, in pixels."""

MOST_BYTES = 5_000_000
"""Of all thumbnails of a page together; where they are more, they are made smaller."""

_LOSSLESS_UP_TO = 48


def shrunk(image: NumpyArray, /) -> NumpyArray:
    """An image, uint8, (height, width, channels) with 1 or 3 channels, no larger than `EDGE`."""
    return image if max(image.shape[:2]) <= EDGE else _resized(image, EDGE)


def as_image(values: NumpyArray, /) -> NumpyArray:
    """Numbers (height, width, 1 or 3) as an image: their lowest as black, their highest as white."""
    low, high = float(values.min()), float(values.max())
    scale = 255 / (high - low) if high > low else 0.0
    return np.rint((values.astype(np.float64) - low) * scale).astype(np.uint8)


def data_uris(images: Sequence[NumpyArray], /) -> list[str]:
    """Thumbnails as addresses that hold the image itself, all together `MOST_BYTES` at most, or nearly so."""
    encoded = [_webp(image) for image in images]
    edge = EDGE
    while sum(map(len, encoded)) > MOST_BYTES and edge > 16:
        edge = edge * 2 // 3
        encoded = [_webp(_resized(image, edge) if max(image.shape[:2]) > edge else image) for image in images]
    return ["data:image/webp;base64," + base64.b64encode(each).decode() for each in encoded]


def _webp(image: NumpyArray) -> bytes:
    written = io.BytesIO()
    is_small = max(image.shape[:2]) <= _LOSSLESS_UP_TO
    _picture(image).save(written, "WEBP", lossless=is_small, quality=100 if is_small else 80, method=2)
    return written.getvalue()


def _resized(image: NumpyArray, edge: int) -> NumpyArray:
    picture = _picture(image)
    picture.thumbnail((edge, edge))
    return np.asarray(picture).reshape(picture.height, picture.width, -1)


def _picture(image: NumpyArray) -> Any:
    pixels = image[..., 0] if image.shape[2] == 1 else image
    return package("PIL.Image").fromarray(np.ascontiguousarray(pixels))
