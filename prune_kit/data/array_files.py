"""Arrays saved by NumPy: .npz with inputs and labels, .npy with its labels in another file."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..arrays import NumpyArray
from ..errors import PruneKitError, StoreError
from .columns import LABEL_NAMES, chosen_or_usual
from .examples import Examples
from .inputs import as_inputs, check_array
from .labels import class_indices

# Where a file holds both parts, as Keras' and MedMNIST's do, the training part is meant.
INPUT_KEYS = ("x", "inputs", "images", "image", "data", "features", "x_train", "train_images", "X")
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
    with reading(path), open_npz_file(path) as arrays:
        keys = arrays.files
        x = chosen_or_usual(
            input_column, INPUT_KEYS, keys, what="inputs", option="input_column", source=source
        )
        y = chosen_or_usual(
            label_column, usual_label_keys(x), keys, what="labels", option="label_column", source=source
        )
        # A member that is no array comes as bytes, and is refused below for its type.
        inputs, labels = np.asarray(arrays[x]), np.asarray(arrays[y])
        id_key = usual_id_key(x, keys)
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
        raise missing_labels(path)
    with reading(path):
        inputs = np.lib.format.open_memmap(path, mode="r")
    with reading(labels):
        targets = np.lib.format.open_memmap(labels, mode="r")
    return _examples(inputs, np.array(targets), None, str(path), image_size)


def _examples(
    inputs: NumpyArray, labels: NumpyArray, ids: NumpyArray | None, source: str, image_size: int | None
) -> Examples:
    check_array(inputs, source)
    indices, class_names = class_indices(labels, None, source)
    ids = np.arange(len(inputs)) if ids is None else ids

    examples = Examples(as_inputs(inputs), indices, ids, class_names, source)
    return examples if image_size is None else examples.resized(image_size)


def missing_labels(path: Path) -> PruneKitError:
    """The error where the labels of an .npy file are not given."""
    return PruneKitError(f"{path} holds inputs alone, without labels.", hint="give labels='labels.npy'")


def usual_label_keys(input_key: str) -> tuple[str, ...]:
    """Under which keys the labels of these inputs usually are."""
    return (_PAIRS[input_key],) if input_key in _PAIRS else LABEL_NAMES


def usual_id_key(input_key: str, keys: Sequence[str]) -> str | None:
    """Under which key the ids are; beside two parts of a data set, whose they are cannot be told."""
    return next((key for key in _ID_KEYS if key in keys and input_key not in _PAIRS), None)


@contextmanager
def open_npz_file(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an .npz file, for use inside `reading`; StoreError if it is a single array."""
    with path.open("rb") as file:
        arrays = np.load(file, allow_pickle=False)  # unpickling would run whatever code a file brings along
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise StoreError(
                f"{path} is a single array, not .npz.", hint="rename it to .npy, and give its labels"
            )
        yield arrays


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
