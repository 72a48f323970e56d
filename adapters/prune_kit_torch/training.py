"""Train independent seeds early into training and score every example along the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from prune_kit.errors import PruneKitError
from prune_kit.identity import replaced_parts
from prune_kit.progress import Progress
from prune_kit.store import Run
from prune_kit.training import (
    PRECISIONS,
    Recipe,
    check_epochs,
    check_seeds,
    course_config,
    run_config,
    versions,
    what_is_left,
)

from .augmentation import augment
from .checkpoints import load_checkpoint, save_checkpoint
from .identity import structure
from .inference import choose_device
from .randomness import deterministic_kernels
from .scoring import check_scores, score
from .sources import as_source
from .trainer import Loss, MakeModel, MakeOptimizer, Trainer, Training
from .trial import try_model

__all__ = ["Training", "train_seeds"]


def train_seeds(
    make_model: MakeModel,
    data: Any,
    /,
    *,
    seeds: int | Sequence[int] = 10,
    epochs: int,
    run: str | Path,
    at_epochs: Sequence[int] | None = None,
    scores: Sequence[str] = ("el2n",),
    save_probabilities: bool = False,
    training_data: Any = None,
    recipe: Recipe | None = None,
    optimizer: MakeOptimizer | None = None,
    schedule: Callable[[float], float] | None = None,
    loss: Loss | None = None,
    augmentation: Callable[[Tensor], Tensor] | None = None,
    train_epoch: Callable[[Training], None] | None = None,
    steps_per_epoch: int | None = None,
    initial_weights: str | Path | None = None,
    initial_epoch: int = 0,
    score_batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: str = "float32",
    channels_last: bool = False,
    checkpoints: bool = False,
    described: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Run:
    """Train several seeds and score every example at some epochs; go on with a run that was interrupted.

    Each seed has its own initial weights and its own data order. Scores are taken in inference mode, in
    float32, without augmentation. The same seed on the same machine gives the same scores bit for bit,
    whether it was interrupted or not, and whichever other seeds are trained.

    Parameters
    ----------
    make_model
        Makes a model with new weights, drawn from torch's global generator (which is seeded before).
    data
        The examples to score, without augmentation, and to train on unless `training_data` is given:
        (inputs, labels[, ids]) as arrays, a Dataset, or a DataLoader.
    seeds
        How many (0, 1, ...), or which ones.
    epochs
        How long to train. Training stops earlier if `at_epochs` ends earlier.
    run
        The run directory. One that is there is resumed; it may gain seeds and epochs.
    at_epochs
        Completed epochs to score at; 0 is initialisation. By default the last one.
    scores
        Names of scores, as for `score`.
    save_probabilities
        Whether the parts have the probability of every class too, n x c, which `flag_run` takes.
    training_data
        The same examples as they are trained on, where that differs (a Dataset with augmentation).
    recipe
        Hyper-parameters; the paper's by default.
    optimizer
        Makes an optimizer from the parameters, in place of the recipe's SGD. Its learning rates then
        stay as they are unless `schedule` is given.
    schedule
        By what the learning rates are multiplied after so many epochs (a fraction inside an epoch), in
        place of the recipe's milestones.
    loss
        ``loss(logits, labels)``, a scalar or one value per example (averaged); by default cross-entropy.
    augmentation
        Changes the inputs of a training batch, in place of the recipe's.
    train_epoch
        Trains one epoch in place of all of the above; given a `Training`.
    steps_per_epoch
        How many steps count as an epoch, for the schedule, `epochs` and `at_epochs`; one pass over the
        training data by default. The passes, each shuffled anew, go on from epoch to epoch: a subset takes
        exactly as many steps as all of the data.
    initial_weights
        A checkpoint, which every seed starts from: seeds then differ by data order, augmentation and dropout.
    initial_epoch
        For how many epochs these weights have been trained. Training goes on after them, at the schedule's
        rate; the optimizer starts afresh.
    score_batch_size
        Examples at a time while scoring.
    device
        CUDA where there is one, by default. Data stays on it where it fits.
    precision
        "float32", or "bfloat16" for autocast while training.
    channels_last
        Whether images and weights take the channels_last layout.
    checkpoints
        Whether to keep the weights of each seed at each scored epoch, as safetensors.
    described
        What else run.json is to say, and to compare when the run is resumed.
    progress
        Whether to show bars on stderr (never off a terminal).

    Returns
    -------
    Run
        The run directory, with a part for every seed and epoch asked for.

    Raises
    ------
    PruneKitError
        If an option is out of range, the model does not fit the data, or training diverged.
    RunConflictError
        If `run` holds another run, or another process is writing to it.
    """
    chosen_seeds = check_seeds(seeds)
    chosen_epochs = check_epochs(epochs, at_epochs, initial_epoch=initial_epoch)
    course = course_config(
        steps_per_epoch=steps_per_epoch, initial_weights=initial_weights, initial_epoch=initial_epoch
    )
    check_scores(scores)
    if precision not in PRECISIONS:
        raise PruneKitError(f"`precision` must be one of {', '.join(PRECISIONS)}; got {precision!r}.")
    recipe = recipe or Recipe()
    where = choose_device(device)
    source = as_source(data).to(where)
    training_source = source if training_data is None else as_source(training_data).to(where)
    model = try_model(make_model, source, trains=True)
    if initial_weights is not None:
        load_checkpoint(model, initial_weights)  # to find out early that they do not fit
    config = {
        **run_config(
            "torch",
            examples=len(source),
            fingerprint=source.fingerprint(),
            scores=scores,
            save_probabilities=save_probabilities,
        ),
        "model": structure(model),
        "recipe": recipe.as_dict(),
        "replaced": replaced_parts(
            optimizer=optimizer,
            schedule=schedule,
            loss=loss,
            augmentation=augmentation,
            train_epoch=train_epoch,
        ),
        "device": where.type,
        "precision": precision,
        "channels_last": channels_last,
        **course,
        **(described or {}),
    }
    trainer = Trainer(
        make_model=make_model,
        source=training_source,
        recipe=recipe,
        make_optimizer=optimizer,
        schedule=schedule,
        loss=loss or F.cross_entropy,
        augmentation=augmentation or (lambda inputs: augment(inputs, recipe.augmentation)),
        train_epoch=train_epoch,
        device=where,
        precision=precision,
        channels_last=channels_last,
        steps_per_epoch=steps_per_epoch,
        initial_weights=initial_weights,
        initial_epoch=initial_epoch,
    )
    made_with = versions("torch")
    opened = Run.start(
        run, config=config, seeds=chosen_seeds, epochs=chosen_epochs, made_with=made_with, scores=scores
    )
    scored = partial(
        score, scores=scores, probabilities=save_probabilities, batch_size=score_batch_size, device=where
    )
    with opened as opened_run, deterministic_kernels():
        plans = what_is_left(opened_run, chosen_seeds, chosen_epochs, checkpoints=checkpoints)
        with Progress(plans, trainer.steps, enabled=progress) as shown:
            for plan in plans:
                for training in trainer.epochs(plan, opened_run, shown):
                    if training.epoch not in plan.epochs:
                        continue
                    try:
                        table = scored(training.model, source)
                    except PruneKitError as error:
                        raise PruneKitError(f"seed {plan.seed}, epoch {training.epoch}: {error}") from error
                    table.provenance = {**config, "seed": plan.seed, "epoch": training.epoch}
                    if checkpoints:
                        save_checkpoint(training.model, opened_run.checkpoint_path(plan.seed, training.epoch))
                    opened_run.write_part(plan.seed, training.epoch, table)
                opened_run.resume_path(plan.seed).unlink(missing_ok=True)
    return opened_run
