"""Train independent seeds early into training and score every example along the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
    run_config,
    stream_seed,
    versions,
    what_is_left,
)

from .augmentation import augment
from .batches import RawBatch, check_fit, forward, to_device
from .checkpoints import save_checkpoint
from .identity import structure
from .inference import choose_device
from .randomness import deterministic_kernels, seeded
from .resume import load_progress, save_progress
from .scoring import check_scores, score
from .sources import Source, as_source
from .trial import try_model

MakeModel = Callable[[], nn.Module]
MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Training:
    """One seed being trained; what a `train_epoch` of the user's is given."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    seed: int
    epoch: int
    """The epoch being trained, from 1 on."""
    device: torch.device
    batches: Iterable[RawBatch]
    """Batches of this epoch, on the device, in this seed's and epoch's own order, augmented."""


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
    chosen_seeds, chosen_epochs = check_seeds(seeds), check_epochs(epochs, at_epochs)
    check_scores(scores)
    if precision not in PRECISIONS:
        raise PruneKitError(f"`precision` must be one of {', '.join(PRECISIONS)}; got {precision!r}.")
    recipe = recipe or Recipe()
    where = choose_device(device)
    source = as_source(data).to(where)
    training_source = source if training_data is None else as_source(training_data).to(where)
    config = {
        **run_config(
            "torch",
            examples=len(source),
            fingerprint=source.fingerprint(),
            scores=scores,
            save_probabilities=save_probabilities,
        ),
        "model": structure(try_model(make_model, source, trains=True)),
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
        **(described or {}),
    }
    trainer = _Trainer(
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
        steps = training_source.steps(recipe.batch_size)
        with Progress(plans, steps, enabled=progress) as shown:
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


@dataclass(frozen=True)
class _Trainer:
    """Everything that the seeds have in common."""

    make_model: MakeModel
    source: Source
    recipe: Recipe
    make_optimizer: MakeOptimizer | None
    schedule: Callable[[float], float] | None
    loss: Loss
    augmentation: Callable[[Any], Any]
    train_epoch: Callable[[Training], None] | None
    device: torch.device
    precision: str
    channels_last: bool

    def epochs(self, plan: SeedPlan, run: Run, shown: Progress) -> Iterator[Training]:
        """Train a seed; give it after each completed epoch, from 0 (or where it was interrupted) on."""
        with seeded(stream_seed(plan.seed, "weights")):
            model = self.make_model().to(self.device)
        if self.channels_last:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = self._optimizer(model)
        initial_rates = [group["lr"] for group in optimizer.param_groups]
        state_file = run.resume_path(plan.seed)
        begun = load_progress(state_file, model, optimizer, before=plan.epochs[0])
        training = Training(model, optimizer, plan.seed, begun, self.device, ())
        shown.begin_seed(plan.seed, begun)
        yield training
        while training.epoch < plan.last_epoch:
            training.epoch += 1
            shown.begin_epoch(plan.seed, training.epoch)
            training.batches = self._batches(training, initial_rates, shown)
            with seeded(stream_seed(plan.seed, "epoch", training.epoch)):
                model.train()
                (self.train_epoch or self._train_epoch)(training)
            yield training
            shown.end_epoch()
            if training.epoch < plan.last_epoch:
                save_progress(state_file, model, optimizer, training.epoch)

    def _optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if self.make_optimizer is not None:
            return self.make_optimizer(parameters)
        recipe = self.recipe
        return torch.optim.SGD(
            parameters,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
            weight_decay=recipe.weight_decay,
        )

    def _factor(self, epoch: float) -> float:
        if self.schedule is not None:
            return self.schedule(epoch)
        return 1.0 if self.make_optimizer is not None else self.recipe.learning_rate_factor(epoch)

    def _batches(self, training: Training, rates: list[float], shown: Progress) -> Iterator[RawBatch]:
        """The epoch's batches, augmented, on the device; sets the learning rate before each."""
        order = stream_seed(training.seed, "order", training.epoch)
        steps = self.source.steps(self.recipe.batch_size)
        for step, batch in enumerate(self.source.shuffled(self.recipe.batch_size, order)):
            factor = self._factor(training.epoch - 1 + min(step / steps, 1.0))
            for group, rate in zip(training.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            inputs = to_device(batch.inputs, self.device, channels_last=self.channels_last)
            yield RawBatch(batch.ids, self.augmentation(inputs), batch.labels.to(self.device))
            shown.step()

    def _train_epoch(self, training: Training) -> None:
        for batch in training.batches:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
                logits = forward(training.model, batch.inputs)
                check_fit(logits, batch.labels)
                loss = self.loss(logits, batch.labels).mean()
            training.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            training.optimizer.step()
