"""Dask arrays, chunk by chunk: nothing is computed, and no value looked at, before the user asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .arrays import Array, is_dask, to_numpy


def lazy_columns(
    function: Callable[..., dict[str, Array]],
    arrays: Sequence[Array],
    types: Mapping[str, np.dtype[Any]],
) -> dict[str, Array]:
    """Columns that `function(*chunks, first_row=...)` gives for chunks of rows, as Dask arrays.

    `arrays[0]` is a Dask array and its row chunks are those of the columns; the other arrays are cut alike.
    All columns of a chunk come from one call.
    """
    import dask.array as da
    from dask.delayed import delayed

    rows = arrays[0].chunks[0]
    chunks_of = []
    for array in arrays:
        lazy = array if is_dask(array) else da.from_array(to_numpy(array), chunks=array.shape)  # type: ignore[no-untyped-call]
        whole = (rows, *(-1 for _ in lazy.shape[1:]))
        chunks_of.append(lazy.rechunk(whole).to_delayed().reshape(-1))
    starts = np.cumsum([0, *rows[:-1]]).tolist()
    call = delayed(function, pure=True)
    parts = [call(*chunks, first_row=start) for *chunks, start in zip(*chunks_of, starts, strict=True)]
    empty = arrays[0]._meta.reshape(-1)
    return {
        name: da.concatenate(  # type: ignore[no-untyped-call]
            [
                da.from_delayed(  # type: ignore[no-untyped-call]
                    part[name], (size,), dtype, meta=empty.astype(dtype)
                )
                for part, size in zip(parts, rows, strict=True)
            ]
        )
        for name, dtype in types.items()
    }
