"""Weights on disk: safetensors, or a state_dict that holds nothing but tensors. Nothing is unpickled."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from prune_kit.atomic import atomic_path
from prune_kit.checkpoint_files import check_weights_fit
from prune_kit.errors import StoreError


def save_checkpoint(model: nn.Module, path: str | Path, /) -> Path:
    """Write the weights and buffers of `model` as safetensors, whole or not at all.

    Parameters
    ----------
    model
        Tied weights are written once under each of their names.
    path
        The file to write; its folders are made.

    Raises
    ------
    StoreError
        If it cannot be written (no permission, a full disk).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # safetensors refuses tensors that share memory; copies of tied weights load back into the tie.
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    with atomic_path(path) as aside:
        try:
            save_file(state, aside)
        except safetensors.SafetensorError as error:  # a full disk, among others
            raise StoreError(
                f"cannot write {path}: {error}.",
                hint="check the free space and the permissions; what was there before is unchanged",
            ) from error
    return path


def load_checkpoint(model: nn.Module, path: str | Path, /) -> None:
    """Load weights into `model`: a .safetensors file, or a torch file of a state_dict.

    A torch file may hold the state_dict itself or under "state_dict", "model" or "model_state_dict".
    Prefixes of wrappers ("module.", "_orig_mod.", "model.") are removed where that makes the names fit.

    Raises
    ------
    StoreError
        If the file is missing, damaged, or holds anything but tensors and plain values.
    PruneKitError
        If names or shapes do not fit the model.
    """
    state = _read_state(Path(path))
    wanted = model.state_dict()
    for prefix in ("", "module.", "_orig_mod.", "model."):
        stripped = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
        if stripped.keys() == wanted.keys():
            state = stripped
            break
    check_weights_fit(Path(path), _shapes(state), _shapes(wanted))
    model.load_state_dict(state)


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _read_state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise StoreError(f"there is no checkpoint {path}.")
    content: Any
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise StoreError(
            f"{path} is damaged, or holds more than tensors and plain values; it is not unpickled: "
            "that could run code.",
            hint="save model.state_dict() alone, or as safetensors",
        ) from error
    except (safetensors.SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise StoreError(f"{path} is not a readable checkpoint: {error}.") from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise StoreError(f"{path} must hold a state_dict: names and tensors; got {type(content).__name__}.")
    return content
