"""Weights on disk: safetensors, or Keras' .weights.h5. Nothing that could hold code is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import safetensors
from safetensors.numpy import load_file, save_file

from prune_kit.arrays import NumpyArray
from prune_kit.atomic import atomic_path
from prune_kit.checkpoint_files import check_weights_fit, misfit
from prune_kit.errors import PruneKitError, StoreError, told

from .weights import named_weights, set_values, values_of


def save_checkpoint(model: Any, path: str | Path, /) -> Path:
    """Write the weights of `model` as safetensors, whole or not at all.

    Parameters
    ----------
    model
        A Keras model that is built, or a tf.Module. What is not trained, such as the statistics of
        BatchNormalization, is written too. A weight that two layers share is written once.
    path
        The file to write; its folders are made.

    Raises
    ------
    StoreError
        If it cannot be written (no permission, a full disk).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_arrays(values_of(named_weights(model)), path)
    return path


def save_arrays(arrays: dict[str, NumpyArray], path: Path, *, metadata: dict[str, str] | None = None) -> None:
    """Write arrays, contiguous in memory, as safetensors, whole or not at all."""
    with atomic_path(path) as aside:
        try:
            save_file(arrays, aside, metadata)
        except safetensors.SafetensorError as error:  # a full disk, among others
            raise StoreError(
                f"cannot write {path}: {error}.",
                hint="check the free space and the permissions; what was there before is unchanged",
            ) from error


def load_checkpoint(model: Any, path: str | Path, /) -> None:
    """Load weights into `model`: a .safetensors file that the kit wrote, or .weights.h5 of a Keras model.

    Raises
    ------
    StoreError
        If the file is missing, damaged, or of a kind that could hold code.
    PruneKitError
        If names or shapes do not fit the model.
    """
    path = Path(path)
    if not path.is_file():
        raise StoreError(f"there is no checkpoint {path}.")
    if path.suffix == ".keras":
        raise StoreError(
            f"{path} is a whole model, and is not read: it can hold code.",
            hint="save the weights alone: model.save_weights('model.weights.h5'), or save_checkpoint",
        )
    if path.suffix in (".h5", ".hdf5"):
        _load_h5(model, path)
        return
    try:
        state = load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise StoreError(f"{path} is not a readable checkpoint: {error}.") from error
    wanted = named_weights(model)
    shapes = {name: tuple(variable.shape) for name, variable in wanted.items()}
    check_weights_fit(path, {name: array.shape for name, array in state.items()}, shapes)
    set_values(wanted, state)


def _load_h5(model: Any, path: Path) -> None:
    if not isinstance(model, keras.Model):
        raise PruneKitError(
            f"{path} holds the weights of a Keras model; this one is {type(model).__name__}.",
            hint="save the weights as safetensors, with save_checkpoint",
        )
    weights = named_weights(model)
    before = values_of(weights)
    try:
        model.load_weights(path)
    except OSError as error:
        raise StoreError(f"{path} is not a readable checkpoint: {error}.") from error
    except (ValueError, KeyError) as error:
        set_values(weights, before)  # Keras finds the first misfit after it has loaded what comes before it
        raise misfit(path, told(error)) from error
