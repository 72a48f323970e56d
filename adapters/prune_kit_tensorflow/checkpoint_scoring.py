"""Scores from weights that exist already: K checkpoints are K seeds; nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tqdm import tqdm

from prune_kit.checkpoint_files import file_digest, seeds_and_epochs
from prune_kit.store import Run
from prune_kit.training import run_config, versions, what_is_left

from .checkpoints import load_checkpoint
from .devices import choose_device
from .identity import structure
from .scoring import Scorer, check_scores
from .sources import as_source
from .trial import first_logits, try_model


def score_checkpoints(
    make_model: Callable[[], Any],
    data: Any,
    checkpoints: Sequence[str | Path],
    /,
    *,
    run: str | Path,
    epoch: int | None = None,
    scores: Sequence[str] = ("el2n",),
    save_probabilities: bool = False,
    score_batch_size: int | None = None,
    device: str | None = None,
    described: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Run:
    """Score every example under each of several checkpoints, into a run directory.

    Parameters
    ----------
    make_model
        Makes the model that the weights belong to. One model takes all of them in turn.
    data, scores, save_probabilities, score_batch_size, device, run, described, progress
        As for `train_seeds`.
    checkpoints
        Files: .safetensors, or .weights.h5 of a Keras model. Files of the kit
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
    source = as_source(data)
    config = {
        **run_config(
            "tensorflow",
            examples=len(source),
            fingerprint=source.fingerprint(),
            scores=scores,
            save_probabilities=save_probabilities,
        ),
        "model": structure(try_model(make_model, source, trains=False)),
        "checkpoints": {f"seed={s}/epoch={e}": file_digest(file) for (s, e), file in files.items()},
        "device": "cuda" if where.startswith("GPU") else "cpu",
        **(described or {}),
    }
    seeds, epochs = sorted({s for s, _ in files}), sorted({e for _, e in files})
    opened = Run.start(
        run,
        config=config,
        seeds=seeds,
        epochs=epochs,
        made_with=versions("tensorflow", "keras"),
        scores=scores,
    )
    with opened as opened_run, tf.device(where):
        plans = what_is_left(opened_run, seeds, epochs, checkpoints=False)
        left = [key for plan in plans for e in plan.epochs if (key := (plan.seed, e)) in files]
        model = make_model()
        first_logits(model, source)
        scorer = Scorer(model, scores=scores, probabilities=save_probabilities)
        for key in tqdm(left, unit="checkpoint", disable=None if progress else True):
            load_checkpoint(model, files[key])
            table = scorer(source, batch_size=score_batch_size)
            table.provenance = {**config, "seed": key[0], "epoch": key[1]}
            opened_run.write_part(*key, table)
    return opened_run
