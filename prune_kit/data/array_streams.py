"""Arrays saved by NumPy, opened to be read a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ..arrays import NumpyArray
from .array_files import (
    INPUT_KEYS,
    missing_labels,
    open_npz_file,
    reading,
    usual_id_key,
    usual_label_keys,
)
from .array_reader import ArrayReader, Opening
from .columns import chosen_inputs, chosen_or_usual, label_name
from .labels import class_indices
from .npz_members import open_member


def open_npz(
    path: Path,
    *,
    image_size: int | None,
    input_column: str | Sequence[str] | None,
    label_column: str | None,
    needs_labels: bool,
) -> ArrayReader:
    """Open an .npz file; arrays that are not compressed are mapped into memory.

    Raises
    ------
    StoreError
        If the file is not .npz, is damaged, or holds pickled objects.
    PruneKitError
        If the keys of inputs and labels cannot be told, or the arrays do not fit.
    """
    source = str(path)
    with reading(path), open_npz_file(path) as arrays:
        keys = arrays.files
        chosen = chosen_inputs(input_column, keys, one_array=False, source=source)
        if isinstance(chosen, tuple):
            x = chosen[0]
        else:
            x = chosen_or_usual(chosen, INPUT_KEYS, keys, what="inputs", option="input_column", source=source)
        y = label_name(label_column, usual_label_keys(x), keys, needed=needs_labels, source=source)
        id_key = usual_id_key(x, keys)
        labels = None if y is None else np.asarray(arrays[y])
        ids = None if id_key is None else np.asarray(arrays[id_key])
        opening: Opening | dict[str, Opening]
        if isinstance(chosen, tuple):
            opening = {name: open_member(path, name) for name in chosen}
        else:
            opening = open_member(path, x)
    return _reader(opening, labels, ids, source, image_size)


def open_npy(path: Path, labels: Path | None, *, image_size: int | None, needs_labels: bool) -> ArrayReader:
    """Open an .npy file of inputs, memory-mapped, and an .npy file of their labels; ids are positions.

    Raises
    ------
    StoreError
        If a file is not .npy, is damaged, or holds pickled objects.
    PruneKitError
        If there are no labels where they are needed, or the arrays do not fit.
    """
    if labels is None and needs_labels:
        raise missing_labels(path)
    opening = partial(np.lib.format.open_memmap, path, mode="r")
    with reading(path):
        opening()  # before the labels: the first thing wrong is named
    targets = None
    if labels is not None:
        with reading(labels):
            targets = np.array(np.lib.format.open_memmap(labels, mode="r"))
    return _reader(opening, targets, None, str(path), image_size)


def _reader(
    opening: Opening | dict[str, Opening],
    labels: NumpyArray | None,
    ids: NumpyArray | None,
    source: str,
    image_size: int | None,
) -> ArrayReader:
    indices, names = (None, None) if labels is None else class_indices(labels, None, source)
    return ArrayReader(opening, indices, ids, names, source, image_size=image_size)
