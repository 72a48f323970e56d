"""The state of an interrupted seed: weights, optimizer and epoch, on disk while the seed is trained.

Random numbers need no state: what an epoch draws depends on its seed and number alone.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import torch
from torch import nn

from prune_kit.atomic import atomic_path
from prune_kit.errors import StoreError
from prune_kit.training import is_save_due


def save_progress(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    """Write the state after `epoch`, unless the last one was written a moment ago."""
    if not is_save_due(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # By way of memory, for torch hides what the operating system says of a full disk.
    state = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}, state)
    with atomic_path(path) as aside:
        aside.write_bytes(state.getbuffer())


def load_progress(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, before: int
) -> int | None:
    """Load a state if there is one that is early enough to score epoch `before`; give its epoch.

    Returns
    -------
    int or None
        The completed epochs of what is now in `model`; None if nothing was loaded.

    Raises
    ------
    StoreError
        If the file is damaged.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["epoch"] > before:
            return None
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise StoreError(
            f"{path} cannot be read: {error}.", hint="delete it: the seed is then trained from its beginning"
        ) from error
    return int(state["epoch"])
