"""Trains one seed after the other, by the recipe or by what replaces parts of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prune_kit.passes import batches_of_epoch
from prune_kit.progress import Progress
from prune_kit.store import Run
from prune_kit.training import Recipe, SeedPlan, stream_seed

from .batches import RawBatch, check_fit, forward, to_device
from .checkpoints import load_checkpoint
from .randomness import seeded
from .resume import load_progress, save_progress
from .sources import Source

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


@dataclass(frozen=True)
class Trainer:
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
    steps_per_epoch: int | None
    initial_weights: str | Path | None
    initial_epoch: int

    @property
    def steps(self) -> int:
        """The steps of an epoch."""
        return self.steps_per_epoch or self.source.steps(self.recipe.batch_size)

    def epochs(self, plan: SeedPlan, run: Run, shown: Progress) -> Iterator[Training]:
        """Train a seed; give it after each completed epoch, from the first (or where it stopped) on."""
        with seeded(stream_seed(plan.seed, "weights")):
            model = self.make_model().to(self.device)
        if self.initial_weights is not None:
            load_checkpoint(model, self.initial_weights)
        if self.channels_last:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = self._optimizer(model)
        initial_rates = [group["lr"] for group in optimizer.param_groups]
        state_file = run.resume_path(plan.seed)
        begun = load_progress(state_file, model, optimizer, before=plan.epochs[0])
        if begun is None:
            begun = self.initial_epoch
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
        given = batches_of_epoch(
            lambda number: self._pass(stream_seed(training.seed, "order", number)),
            training.epoch,
            steps_per_epoch=self.steps_per_epoch,
            steps_per_pass=self.source.steps(self.recipe.batch_size),
        )
        for step, batch in enumerate(given):
            factor = self._factor(training.epoch - 1 + min(step / self.steps, 1.0))
            for group, rate in zip(training.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            inputs = to_device(batch.inputs, self.device, channels_last=self.channels_last)
            yield RawBatch(batch.ids, self.augmentation(inputs), batch.labels.to(self.device))
            shown.step()

    def _pass(self, order: int) -> Iterator[RawBatch]:
        """The batches of one pass over the data, in the order that the seed `order` gives."""
        batches = self.source.shuffled(self.recipe.batch_size, order)
        if self.steps_per_epoch is None:
            return batches
        # A DataLoader without a generator draws its order from the global one with its first batch; a pass
        # that is taken up again in the next epoch must have the same order there.
        with seeded(order):
            first = next(batches)
        return chain((first,), batches)

    def _train_epoch(self, training: Training) -> None:
        for batch in training.batches:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
                logits = forward(training.model, batch.inputs)
                check_fit(logits, batch.labels)
                loss = self.loss(logits, batch.labels).mean()
            training.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            training.optimizer.step()
