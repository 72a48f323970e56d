"""Scores from weights that exist already: K checkpoints are K seeds; nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from prune_kit.checkpoint_files import file_digest, seeds_and_epochs
from prune_kit.store import Run
from prune_kit.training import run_config, versions, what_is_left

from .checkpoints import load_checkpoint
from .identity import structure
from .inference import choose_device
from .scoring import check_scores, score
from .sources import as_source
from .trial import try_model


def score_checkpoints(
    make_model: Callable[[], nn.Module],
    data: Any,
    checkpoints: Sequence[str | Path],
    /,
    *,
    run: str | Path,
    epoch: int | None = None,
    scores: Sequence[str] = ("el2n",),
    save_probabilities: bool = False,
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
    data, scores, save_probabilities, score_batch_size, device, run, described, progress
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
    files = seeds_and_epochs(checkpoints, epoch)
    where = choose_device(device)
    source = as_source(data).to(where)
    config = {
        **run_config(
            "torch",
            examples=len(source),
            fingerprint=source.fingerprint(),
            scores=scores,
            save_probabilities=save_probabilities,
        ),
        "model": structure(try_model(make_model, source, trains=False)),
        "checkpoints": {f"seed={s}/epoch={e}": file_digest(file) for (s, e), file in files.items()},
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
            table = score(
                model,
                source,
                scores=scores,
                probabilities=save_probabilities,
                batch_size=score_batch_size,
                device=where,
            )
            table.provenance = {**config, "seed": key[0], "epoch": key[1]}
            opened_run.write_part(*key, table)
    return opened_run
