"""Norms of rows that may be spread over several arrays, scaled so that no square over- or underflows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .arrays import Array, device_of, float_name, namespace, row_slices
from .checks import first_true
from .errors import PruneKitError

CHUNK_ELEMENTS = 1 << 22
"""Entries that are copied at a time: 16 MiB in float32."""


def norm_type(arrays: Sequence[Array]) -> str:
    """Name of the float type of the norms: float64 if any array asks for it."""
    return "float64" if any(float_name(array) == "float64" for array in arrays) else "float32"


def row_norms(arrays: Sequence[Array], name: str, *, first_row: int = 0) -> Array:
    """L2 norm (n,) over everything but the first axis of all `arrays`, which share library and device."""
    xp = namespace(*arrays)
    dtype = getattr(xp, norm_type(arrays))
    n = arrays[0].shape[0]
    entries = sum(int(np.prod(array.shape[1:])) for array in arrays)
    step = max(1, CHUNK_ELEMENTS // max(1, entries))
    parts = [
        _block_norms(xp, [array[part, ...] for array in arrays], dtype, name, first_row + part.start)
        for part in row_slices(n, step)
    ]
    return parts[0] if len(parts) == 1 else xp.concat(parts)


def _block_norms(xp: Any, arrays: Sequence[Array], dtype: Any, name: str, first_row: int) -> Array:
    chunks = [
        flat[:, part]
        for array in arrays
        for flat in [xp.reshape(array, (array.shape[0], -1))]
        for part in row_slices(flat.shape[1], max(1, CHUNK_ELEMENTS // flat.shape[0]))
    ]
    scale = xp.zeros(arrays[0].shape[0], dtype=dtype, device=device_of(arrays[0]))
    for chunk in chunks:
        chunk = xp.astype(chunk, dtype, copy=False)
        scale = xp.maximum(scale, xp.maximum(xp.max(chunk, axis=1), -xp.min(chunk, axis=1)))
    bad = ~xp.isfinite(scale)
    if bool(xp.any(bad)):
        raise PruneKitError(
            f"`{name}` must be finite; got NaN or an infinity in row {first_row + first_true(bad)}.",
            hint="the loss has diverged or float16 has overflowed",
        )
    safe = xp.where(scale > 0, scale, xp.ones_like(scale))
    total = xp.zeros_like(safe)
    for chunk in chunks:
        scaled = xp.astype(chunk, dtype, copy=False) / xp.expand_dims(safe, axis=1)
        total = total + xp.sum(scaled * scaled, axis=1)
    return scale * xp.sqrt(total)
