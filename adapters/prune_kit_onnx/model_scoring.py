"""Scores from models that exist already: K models are K seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from tqdm import tqdm

from prune_kit.checkpoint_files import file_digest, seeds_and_epochs
from prune_kit.errors import PruneKitError
from prune_kit.store import Run
from prune_kit.training import run_config, versions, what_is_left

from .inference import opened
from .model import Model
from .opening import external_files
from .options import ModelOptions, Options
from .providers import runtime_distribution
from .scoring import check_scores, score_source
from .sources import as_source


def score_models(
    models: Sequence[str | Path],
    data: Any,
    /,
    *,
    run: str | Path,
    epoch: int = 0,
    scores: Sequence[str] = ("el2n",),
    save_probabilities: bool = False,
    score_batch_size: int | None = None,
    device: str | None = None,
    described: Mapping[str, Any] | None = None,
    progress: bool = False,
    **options: Unpack[Options],
) -> Run:
    """Score every example under each of several models, into a run directory.

    Parameters
    ----------
    models
        Files. Those of the kit (``seed=0/epoch=20.onnx``) are the seed and epoch that they are named after;
        others are seeds 0, 1, ... in the order given.
    data, device, **options
        As for `predict`; the data is read once per model.
    run
        The run directory; one that is there is resumed.
    epoch
        The epoch that the models are from whose names do not say it, for the record.
    scores
        As for `score`.
    save_probabilities
        Whether the parts have the probability of every class too, n x c, which `flag_run` takes.
    score_batch_size
        Examples at a time, 256 by default.
    described
        What else run.json is to say.
    progress
        Whether to show a bar on stderr (never off a terminal).

    Returns
    -------
    Run
        The run directory, with a part for every model. Its config has the device, and how inputs were
        standardised (None where they went in as they are).

    Raises
    ------
    PruneKitError
        If there is no model, two of them are one seed and epoch, or as for `score`. Parts that were written
        before stay.
    """
    check_scores(scores)
    settings = ModelOptions(**options)
    files = seeds_and_epochs(models, epoch)
    source = as_source(data)
    features = "grand_last_layer" in scores
    digests = {f"seed={s}/epoch={e}": _digest(file) for (s, e), file in files.items()}
    # One model is opened before the directory is made, which a wrong one then leaves no trace of.
    first_key = min(files)
    first: Model | None = opened(files[first_key], source, device, features, settings)
    assert first is not None
    standardise, where = first.standardise, device or first.device
    examples, fingerprint = source.identity()
    config = {
        **run_config(
            "onnx",
            examples=examples,
            fingerprint=fingerprint,
            scores=scores,
            save_probabilities=save_probabilities,
        ),
        "models": digests,
        "device": first.device,
        "logits": settings.logits,
        "from_logits": settings.from_logits,
        "standardised": None if standardise is None else standardise.as_dict(),
        "layout": settings.layout,
        **(described or {}),
    }
    seeds, epochs = sorted({s for s, _ in files}), sorted({e for _, e in files})
    made_with = versions(runtime_distribution())
    with Run.start(
        run, config=config, seeds=seeds, epochs=epochs, made_with=made_with, scores=scores
    ) as opened_run:
        plans = what_is_left(opened_run, seeds, epochs, checkpoints=False)
        left = [(p.seed, e) for p in plans for e in p.epochs if (p.seed, e) in files]
        for key in tqdm(left, unit="model", disable=None if progress else True):
            model = first if key == first_key and first is not None else None
            first = None  # its memory is given back
            if model is None:
                model = Model(files[key], settings, device=where, features=features)
                model.standardise_by(standardise)
            table = score_source(
                model,
                source,
                scores=scores,
                probabilities=save_probabilities,
                batch_size=score_batch_size,
                progress=False,
            )
            found = {"from_logits": model.from_logits}
            table.provenance = {**config, **found, "seed": key[0], "epoch": key[1]}
            opened_run.write_part(*key, table)
    return opened_run


def _digest(file: Path) -> str:
    """SHA-256 of a model and of the files in which its weights are, if they are in files of their own."""
    if not file.is_file():
        raise PruneKitError(f"there is no model {file}.", hint="check the spelling")
    own = file_digest(file)
    beside = sorted(external_files(file))
    if not beside:
        return own
    return hashlib.sha256("".join([own, *map(file_digest, beside)]).encode()).hexdigest()
