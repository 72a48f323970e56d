"""Arrays saved by NumPy: .npz with inputs and labels, .npy with its labels in another file."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..arrays import NumpyArray
from ..errors import PruneKitError, StoreError
from .columns import LABEL_NAMES, chosen_or_usual
from .examples import Examples
from .labels import class_indices

# Where a file holds both parts, as Keras' and MedMNIST's do, the training part is meant.
_INPUT_KEYS = ("x", "inputs", "images", "image", "data", "features", "x_train", "train_images", "X")
_PAIRS = {
    "x_train": "y_train",
    "x_test": "y_test",
    "train_images": "train_labels",
    "test_images": "test_labels",
}
_ID_KEYS = ("ids", "id")
# What NumPy raises on damaged files, found by damaging some at random.
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def load_npz(
    path: Path, *, image_size: int | None, input_column: str | None, label_column: str | None
) -> Examples:
    """Load an .npz file: inputs and labels, and ids if they are there, under their usual keys.

    Raises
    ------
    StoreError
        If the file is not .npz, is damaged, or holds pickled objects.
    PruneKitError
        If the keys of inputs and labels cannot be told, or the arrays do not fit.
    """
    source = str(path)
    with reading(path), path.open("rb") as file:
        arrays = np.load(file, allow_pickle=False)  # unpickling would run whatever code a file brings along
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise StoreError(
                f"{path} is a single array, not .npz.", hint="rename it to .npy, and give its labels"
            )
        keys = arrays.files
        x = chosen_or_usual(
            input_column, _INPUT_KEYS, keys, what="inputs", option="input_column", source=source
        )
        usual = (_PAIRS[x],) if x in _PAIRS else LABEL_NAMES
        y = chosen_or_usual(label_column, usual, keys, what="labels", option="label_column", source=source)
        # A member that is no array comes as bytes, and is refused below for its type.
        inputs, labels = np.asarray(arrays[x]), np.asarray(arrays[y])
        # Ids beside two parts would belong to neither for certain.
        id_key = next((key for key in _ID_KEYS if key in keys and x not in _PAIRS), None)
        ids = None if id_key is None else np.asarray(arrays[id_key])
    return _examples(inputs, labels, ids, source, image_size)


def load_npy(path: Path, labels: Path | None, *, image_size: int | None) -> Examples:
    """Load an .npy file of inputs, memory-mapped, and an .npy file of their labels; ids are positions.

    Raises
    ------
    StoreError
        If a file is not .npy, is damaged, or holds pickled objects.
    PruneKitError
        If there are no labels, or the arrays do not fit.
    """
    if labels is None:
        raise PruneKitError(f"{path} holds inputs alone, without labels.", hint="give labels='labels.npy'")
    with reading(path):
        inputs = np.lib.format.open_memmap(path, mode="r")
    with reading(labels):
        targets = np.lib.format.open_memmap(labels, mode="r")
    return _examples(inputs, np.asarray(targets), None, str(path), image_size)


def as_inputs(inputs: NumpyArray, source: str) -> NumpyArray:
    """Return arrays as inputs: uint8 of 3 or 4 dimensions as images (channels last), all else as float32.

    Images with the channels first, (n, 3, height, width), are turned; grey ones get their one channel.
    """
    if inputs.dtype.kind not in "biuf":
        raise PruneKitError(f"{source}: inputs must be numbers; got dtype {inputs.dtype}.")
    if inputs.dtype == np.uint8 and inputs.ndim == 3:
        return inputs[..., np.newaxis]
    if inputs.dtype == np.uint8 and inputs.ndim == 4:
        if inputs.shape[3] in (1, 3, 4):
            return inputs
        if inputs.shape[1] in (1, 3, 4):
            return np.ascontiguousarray(np.moveaxis(inputs, 1, 3))
        raise PruneKitError(
            f"{source}: images must have shape (n, height, width, channels), channels 1, 3 or 4; "
            f"got {inputs.shape}.",
            hint="inputs that are no images can be saved as float32",
        )
    if inputs.dtype == np.float32:
        return inputs
    with np.errstate(over="ignore"):  # what becomes infinite is refused by Examples
        return inputs.astype(np.float32)


def _examples(
    inputs: NumpyArray, labels: NumpyArray, ids: NumpyArray | None, source: str, image_size: int | None
) -> Examples:
    if inputs.ndim < 2:
        raise PruneKitError(
            f"{source}: inputs must have shape (n, ...), one row per example; got {inputs.shape}.",
            hint="a single feature is of shape (n, 1)",
        )
    indices, class_names = class_indices(labels, None, source)
    ids = np.arange(len(inputs)) if ids is None else ids

    examples = Examples(as_inputs(inputs, source), indices, ids, class_names, source)
    return examples if image_size is None else examples.resized(image_size)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever NumPy raises on a missing or damaged file into a StoreError."""
    try:
        yield
    except PruneKitError:
        raise
    except FileNotFoundError as error:
        raise StoreError(f"there is no file {path}.", hint="check the spelling") from error
    except _DAMAGE as error:
        problem = str(error).rstrip(".")
        hint = "is the file complete? Write it again with numpy.save or numpy.savez"
        if "pickle" in problem.lower() or "Python objects" in problem:
            # NumPy says the same of a file that is no array file at all.
            hint = "arrays of objects, and what is not NumPy's, are never unpickled; save numbers or strings"
        raise StoreError(f"{path} is not a readable NumPy file: {problem}.", hint=hint) from error
