"""Train independent seeds early into training and score every example along the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from prune_kit.errors import PruneKitError
from prune_kit.identity import replaced_parts
from prune_kit.progress import Progress
from prune_kit.store import Run
from prune_kit.training import (
    PRECISIONS,
    Recipe,
    SeedPlan,
    check_epochs,
    check_seeds,
    course_config,
    run_config,
    versions,
    what_is_left,
)

from .checkpoints import load_checkpoint, save_checkpoint
from .devices import choose_device
from .identity import compiled_with, structure
from .learner import Learner, Making, is_compiled
from .pipeline_source import PipelineSource
from .randomness import deterministic_kernels
from .resume import state_file
from .scoring import check_scores
from .sources import as_source
from .strategies import replicas_of
from .train_step import Loss
from .trainer import MakeCallbacks, Trainer, Training
from .trial import try_model

__all__ = ["Training", "train_seeds"]


def train_seeds(
    make_model: Callable[[], Any],
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
    optimizer: Callable[[], keras.optimizers.Optimizer] | None = None,
    schedule: Callable[[float], float] | None = None,
    loss: Loss | None = None,
    augmentation: Callable[[Any], Any] | None = None,
    train_epoch: Callable[[Training], None] | None = None,
    callbacks: MakeCallbacks | None = None,
    steps_per_epoch: int | None = None,
    initial_weights: str | Path | None = None,
    initial_epoch: int = 0,
    score_batch_size: int | None = None,
    device: str | None = None,
    precision: str = "float32",
    strategy: tf.distribute.Strategy | None = None,
    channels_last: bool = False,
    checkpoints: bool = False,
    described: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Run:
    """Train several seeds and score every example at some epochs; go on with a run that was interrupted.

    Each seed has its own initial weights and its own data order. Scores are taken in inference mode, in
    float32, without augmentation. The same seed on the same machine gives the same scores bit for bit,
    whether it was interrupted or not, and whichever other seeds are trained; of data that shuffles or changes
    by itself (a tf.data.Dataset is trained on as it is) only as far as that gives the same batches again.

    A compiled Keras model is trained by its own `fit`, with its own optimizer and loss; any other model by
    the recipe. Every seed is trained by way of one model, whose functions are traced once.

    Parameters
    ----------
    make_model
        Makes a Keras model, compiled or not, or a tf.Module, with new weights, drawn from the global
        generators (which are seeded before, as by `keras.utils.set_random_seed`).
    data
        The examples to score, without augmentation, and to train on unless `training_data` is given:
        (inputs, labels[, ids]) as arrays, a tf.data.Dataset, or a keras.utils.PyDataset.
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
        The same examples as they are trained on, where that differs (a pipeline with augmentation).
    recipe
        Hyper-parameters; the paper's by default. Of a compiled model, the size of the batches and the
        augmentation.
    optimizer
        Makes a Keras optimizer, in place of the recipe's SGD. Its learning rate then stays as it is
        unless `schedule` is given.
    schedule
        By what the learning rate is multiplied after so many epochs (a fraction inside an epoch), in
        place of the recipe's milestones.
    loss
        ``loss(logits, labels)``, a scalar or one value per example (then averaged); cross-entropy by
        default. What Keras' regularisers give is added.
    augmentation
        Changes the inputs of a training batch, in place of the recipe's; called eagerly.
    train_epoch
        Trains one epoch in place of all of the above; given a `Training`.
    callbacks
        Makes the Keras callbacks of one seed of a compiled model. What they remember is not saved: with
        callbacks, a seed that was interrupted is trained from its beginning.
    steps_per_epoch
        How many steps count as an epoch, for the schedule, `epochs` and `at_epochs`; one pass over the
        training data by default. The passes, each shuffled anew, go on from epoch to epoch: a subset takes
        exactly as many steps as all of the data. A tf.data.Dataset cannot be taken up again
        in the middle, and is refused.
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
        "float32", or "bfloat16" for Keras' mixed_bfloat16 while training.
    strategy
        Such as ``tf.distribute.MirroredStrategy()``, whose devices share every batch; in place of `device`.
    channels_last
        Accepted for the other adapters' sake: Keras lays images out so already.
    checkpoints
        Whether to keep the weights of each seed at each scored epoch, as safetensors.
    described
        What else to write into run.json and to compare when the run is resumed, such as the names
        by which a command was told the model and the data.
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
    source = as_source(data)
    training_source = source if training_data is None else as_source(training_data)
    model = try_model(make_model, source, trains=True)
    replaced = {
        "optimizer": optimizer,
        "schedule": schedule,
        "loss": loss,
        "augmentation": augmentation,
        "train_epoch": train_epoch,
        "callbacks": callbacks,
    }
    _check_parts(model, replaced, precision)
    if steps_per_epoch is not None and isinstance(training_source, PipelineSource):
        raise PruneKitError(
            "`steps_per_epoch` needs training data that can be taken up in the middle of a pass; a "
            "tf.data.Dataset is trained on as it is, from its beginning.",
            hint="give arrays or a keras.utils.PyDataset; or have one pass be an epoch",
        )
    if initial_weights is not None:
        load_checkpoint(model, initial_weights)  # to find out early that they do not fit
    config = {
        **run_config(
            "tensorflow",
            examples=len(source),
            fingerprint=source.fingerprint(),
            scores=scores,
            save_probabilities=save_probabilities,
        ),
        "model": structure(model),
        "compiled": compiled_with(model) if is_compiled(model) else None,
        "recipe": recipe.as_dict(),
        "replaced": replaced_parts(**replaced),
        "device": "cuda" if where.startswith("GPU") else "cpu",
        "replicas": replicas_of(strategy, device, recipe, by_fit=is_compiled(model)),
        "precision": precision,
        "channels_last": channels_last,
        **course,
        **(described or {}),
    }
    trainer = Trainer(
        making=Making(make_model, source, where, strategy, precision, initial_weights),
        source=training_source,
        recipe=recipe,
        make_optimizer=optimizer,
        schedule=schedule,
        loss=loss,
        augmentation=augmentation,
        train_epoch=train_epoch,
        callbacks=callbacks,
        scores=scores,
        save_probabilities=save_probabilities,
        steps_per_epoch=steps_per_epoch,
        initial_epoch=initial_epoch,
    )
    opened = Run.start(
        run,
        config=config,
        seeds=chosen_seeds,
        epochs=chosen_epochs,
        made_with=versions("tensorflow", "keras"),
        scores=scores,
    )
    deterministic_kernels(where)
    with opened as opened_run:
        plans = what_is_left(opened_run, chosen_seeds, chosen_epochs, checkpoints=checkpoints)
        with Progress(plans, trainer.steps, enabled=progress) as shown:
            for plan in plans:

                def after_epoch(training: Training, learner: Learner, plan: SeedPlan = plan) -> None:
                    if training.epoch not in plan.epochs:
                        return
                    try:
                        table = learner.score(source, batch_size=score_batch_size)
                    except PruneKitError as error:
                        raise PruneKitError(f"seed {plan.seed}, epoch {training.epoch}: {error}") from error
                    table.provenance = {**config, "seed": plan.seed, "epoch": training.epoch}
                    if checkpoints:
                        save_checkpoint(training.model, opened_run.checkpoint_path(plan.seed, training.epoch))
                    opened_run.write_part(plan.seed, training.epoch, table)

                trainer.train(plan, opened_run, shown, after_epoch)
                state_file(opened_run, plan.seed).unlink(missing_ok=True)
    return opened_run


def _check_parts(model: Any, parts: Mapping[str, Any], precision: str) -> None:
    """Refuse parts that training this model would ignore."""
    if is_compiled(model):
        ignored = [n for n in ("optimizer", "schedule", "loss", "augmentation") if parts[n] is not None]
        if ignored:
            raise PruneKitError(
                f"`{'`, `'.join(ignored)}`: a compiled model is trained with its own optimizer and loss, "
                "by its own `fit`.",
                hint="give a model that is not compiled; augmentation can be layers of the model, or "
                "`training_data`",
            )
    elif parts["callbacks"] is not None:
        raise PruneKitError(
            "`callbacks` are for models that `fit` trains; this one is not compiled.",
            hint="compile the model in `make_model`, with an optimizer and a loss",
        )
    if precision != "float32" and not isinstance(model, keras.Layer):
        raise PruneKitError(
            f"`precision` {precision} needs a Keras model; got {type(model).__name__}.",
            hint="a tf.Module decides by itself in which precision it computes",
        )
