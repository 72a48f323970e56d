"""All examples of a reader, in memory."""

from __future__ import annotations

import numpy as np

from ..arrays import NumpyArray
from .ahead import read_ahead
from .examples import Examples
from .reader import Reader

_ROWS = 256  # so that the encoded images of only so many rows are held at a time


def read_all(reader: Reader) -> Examples:
    """Read and decode all examples of a reader that has labels and one array of inputs.

    Raises
    ------
    StoreError
        If a file is damaged or an image cannot be read; it is named.
    PruneKitError
        If inputs have gaps, are not finite or differ in shape, labels do not fit, or ids are doubled.
    """
    n = len(reader)
    inputs: NumpyArray | None = None
    filled = 0
    parts = reader.parts(max(_ROWS, reader.block_rows))
    decoded = read_ahead(parts, reader.decode, chunk_rows=reader.chunk_rows, ahead=2, workers=reader.workers)
    for chunk in (chunk for chunks in decoded for chunk in chunks):
        assert not isinstance(chunk, dict)
        if inputs is None:
            inputs = np.empty((n, *chunk.shape[1:]), dtype=chunk.dtype)
        if chunk.dtype == np.uint8 and chunk.shape[3] > inputs.shape[3]:  # colour after grey
            inputs = np.repeat(inputs, chunk.shape[3], axis=3)
        inputs[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
    assert inputs is not None
    assert reader.labels is not None
    ids = np.arange(n) if reader.ids is None else reader.ids
    return Examples(inputs, reader.labels, ids, reader.class_names, reader.source)
