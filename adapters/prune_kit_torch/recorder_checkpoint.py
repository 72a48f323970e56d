"""A recorder's state beside a training's checkpoint: one file per process, nothing that must be unpickled."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import torch

from prune_kit.atomic import atomic_path
from prune_kit.errors import StoreError

from .recorder import ScoreRecorder


def recorder_file(checkpoint: Path, rank: int) -> Path:
    """Where process `rank` keeps its recorder's state in the folder of a checkpoint."""
    return checkpoint / f"prune_kit_recorder-{rank}.pt"


def save_recorder(recorder: ScoreRecorder, checkpoint: Path, *, rank: int, processes: int) -> None:
    """Write the state of this process's recorder, whole or not at all.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    # By way of memory, for torch hides what the operating system says of a full disk.
    state = io.BytesIO()
    torch.save({"recorder": recorder.state_dict(), "processes": processes}, state)
    checkpoint.mkdir(parents=True, exist_ok=True)  # process 0 makes it, and may be behind
    with atomic_path(recorder_file(checkpoint, rank)) as aside:
        aside.write_bytes(state.getbuffer())


def load_recorder(recorder: ScoreRecorder, checkpoint: Path, *, rank: int, processes: int) -> bool:
    """Load a state, if there is one of this process.

    Returns
    -------
    bool
        Whether there was: not in a checkpoint of a training without a recorder, or in other processes, which
        shared the examples out otherwise.

    Raises
    ------
    StoreError
        If the file is damaged.
    PruneKitError
        If the state is of another recorder.
    """
    path = recorder_file(checkpoint, rank)
    if not path.is_file():
        return False
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        saved, saved_processes = state["recorder"], state["processes"]
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, TypeError) as error:
        raise StoreError(
            f"{path} cannot be read: {error}.",
            hint="delete it: the epochs from this checkpoint on are then recorded all the same",
        ) from error
    if saved_processes != processes:
        return False
    recorder.load_state_dict(saved)
    return True
