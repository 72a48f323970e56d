"""The state of an interrupted seed: weights, optimizer and epoch, on disk while the seed is trained.

Random numbers need no state: what an epoch draws depends on its seed and number alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors

from prune_kit.errors import StoreError
from prune_kit.store import Run
from prune_kit.training import is_save_due

from .checkpoints import save_arrays
from .weights import Variable, named_weights, set_values, values_of


def state_file(run: Run, seed: int) -> Path:
    """Where the state of a seed is kept."""
    return run.resume_path(seed).with_suffix(".safetensors")


def save_progress(path: Path, model: Any, optimizer: Any, epoch: int) -> None:
    """Write the state after `epoch`, unless the last one was written a moment ago."""
    if not is_save_due(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    save_arrays(values_of(_state(model, optimizer)), path, metadata={"epoch": str(epoch)})


def load_progress(path: Path, model: Any, optimizer: Any, *, before: int) -> int | None:
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
        with safetensors.safe_open(path, framework="numpy") as opened:
            epoch = int(opened.metadata()["epoch"])
            if epoch > before:
                return None
            state = _state(model, optimizer)
            values = {name: opened.get_tensor(name) for name in state}
            set_values(state, values)
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{path} cannot be read: {error}.", hint="delete it: the seed is then trained from its beginning"
        ) from error
    return epoch


def _state(model: Any, optimizer: Any) -> dict[str, Variable]:
    of_model = {f"model/{name}": variable for name, variable in named_weights(model).items()}
    of_optimizer = {f"optimizer/{i}": variable for i, variable in enumerate(optimizer.variables)}
    return {**of_model, **of_optimizer}
