"""Scores from weights that exist already: K checkpoints are K seeds; nothing is trained."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from prune_kit.errors import PruneKitError
from prune_kit.store import Run
from prune_kit.training import versions, what_is_left

from .checkpoints import load_checkpoint
from .identity import structure
from .inference import choose_device
from .scoring import check_scores, score
from .sources import as_source
from .trial import try_model

_KIT_LAYOUT = re.compile(r"seed=(\d+)/epoch=(\d+)\.\w+$")


def score_checkpoints(
    make_model: Callable[[], nn.Module],
    data: Any,
    checkpoints: Sequence[str | Path],
    /,
    *,
    run: str | Path,
    epoch: int | None = None,
    scores: Sequence[str] = ("el2n",),
    score_batch_size: int | None = None,
    device: str | torch.device | None = None,
    described: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Run:
    """Score every example under each of several checkpoints, into a run directory.

    Parameters
    ----------
    make_model
        Makes the model that the weights belong to.
    data, scores, score_batch_size, device, run, described, progress
        As for `train_seeds`.
    checkpoints
        Files: .safetensors, or torch files of a state_dict. Files of the kit
        (``seed=0/epoch=20.safetensors``) are the seed and epoch that they are named after; others are
        seeds 0, 1, ... in the order given.
    epoch
        The epoch that all checkpoints are from, where their names do not say it.

    Returns
    -------
    Run
        The run directory, with a part for every checkpoint.

    Raises
    ------
    PruneKitError
        If there is no checkpoint, two of them are one seed and epoch, or weights do not fit the model.
    """
    check_scores(scores)
    files = _places(checkpoints, epoch)
    where = choose_device(device)
    source = as_source(data).to(where)
    config = {
        "framework": "torch",
        "data": {"examples": len(source), "fingerprint": source.fingerprint()},
        "model": structure(try_model(make_model, source, trains=False)),
        "scores": list(scores),
        "checkpoints": {f"seed={s}/epoch={e}": _digest(file) for (s, e), file in files.items()},
        "device": where.type,
        **(described or {}),
    }
    seeds, epochs = sorted({s for s, _ in files}), sorted({e for _, e in files})
    opened = Run.start(
        run, config=config, seeds=seeds, epochs=epochs, made_with=versions("torch"), scores=scores
    )
    with opened as opened_run:
        left = [
            (p.seed, e) for p in what_is_left(opened_run, seeds, epochs, checkpoints=False) for e in p.epochs
        ]
        for key in tqdm(left, unit="checkpoint", disable=None if progress else True):
            if key not in files:
                continue
            model = make_model()
            load_checkpoint(model, files[key])
            model.to(where)
            table = score(model, source, scores=scores, batch_size=score_batch_size, device=where)
            table.provenance = {**config, "seed": key[0], "epoch": key[1]}
            opened_run.write_part(*key, table)
    return opened_run


def _places(checkpoints: Sequence[str | Path], epoch: int | None) -> dict[tuple[int, int], Path]:
    if not checkpoints:
        raise PruneKitError("`checkpoints` must name at least one file.")
    places: dict[tuple[int, int], Path] = {}
    for i, file in enumerate(map(Path, checkpoints)):
        match = _KIT_LAYOUT.search(file.as_posix())
        if match is None and epoch is None:
            raise PruneKitError(
                f"the name of {file} does not say which epoch it is from.",
                hint="give the epoch (--at-epochs), or files named seed=0/epoch=20.safetensors",
            )
        place = (int(match[1]), int(match[2])) if match else (i, int(epoch or 0))
        if place in places:
            raise PruneKitError(f"{places[place]} and {file} are both seed {place[0]}, epoch {place[1]}.")
        places[place] = file
    return places


def _digest(file: Path) -> str:
    if not file.is_file():
        raise PruneKitError(f"there is no checkpoint {file}.")
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
