"""Trains one seed after the other with the same compiled functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import keras
import tensorflow as tf

from prune_kit.arrays import NumpyArray
from prune_kit.passes import batches_of_epoch
from prune_kit.progress import Progress
from prune_kit.store import Run
from prune_kit.training import Recipe, SeedPlan, stream_seed

from .array_source import ArraySource
from .augmentation import augment
from .batches import RawBatch
from .fit import fit
from .learner import Learner, Making, is_compiled
from .randomness import reseed, seed_all, seeded
from .resume import load_progress, save_progress, state_file
from .sources import Source
from .train_step import Loss
from .trial import check_labels

T = TypeVar("T")


@dataclass
class Training:
    """One seed being trained; what a `train_epoch` of the user's is given."""

    model: Any
    """The same object for every seed, with other weights: what was compiled for it stays compiled."""
    optimizer: keras.optimizers.Optimizer
    """Built, and forgetful of the seeds before."""
    seed: int
    epoch: int
    """The epoch being trained, from 1 on."""
    device: str
    """TensorFlow's name of it."""
    batches: Iterable[RawBatch]
    """Batches of this epoch, in this seed's and epoch's own order, augmented."""


MakeCallbacks = Callable[[], Sequence[keras.callbacks.Callback]]
AfterEpoch = Callable[[Training, Learner], None]


@dataclass
class Trainer:
    """Everything that the seeds have in common."""

    making: Making
    source: Source
    recipe: Recipe
    make_optimizer: Callable[[], keras.optimizers.Optimizer] | None
    schedule: Callable[[float], float] | None
    loss: Loss | None
    augmentation: Callable[[Any], Any] | None
    train_epoch: Callable[[Training], None] | None
    callbacks: MakeCallbacks | None
    scores: Sequence[str]
    save_probabilities: bool
    steps_per_epoch: int | None
    initial_epoch: int
    _learner: Learner | None = field(default=None, init=False)

    @property
    def steps(self) -> int:
        """The steps of an epoch."""
        return self.steps_per_epoch or self.source.steps(self.recipe.batch_size)

    def train(self, plan: SeedPlan, run: Run, shown: Progress, after_epoch: AfterEpoch) -> None:
        """Train a seed; call `after_epoch` at its first epoch (or where it stopped) and after each one."""
        with self.making.scope():
            learner = self._learner_of(plan.seed)
            file = state_file(run, plan.seed)
            begun = load_progress(file, learner.model, learner.optimizer, before=plan.epochs[0])
            if begun is None:
                begun = self.initial_epoch
            training = Training(learner.model, learner.optimizer, plan.seed, begun, self.making.device, ())
            shown.begin_seed(plan.seed, begun)
            after_epoch(training, learner)

            def end_epoch() -> None:
                after_epoch(training, learner)
                shown.end_epoch()
                # What callbacks remember is not known here: such a seed begins anew.
                if training.epoch < plan.last_epoch and self.callbacks is None:
                    save_progress(file, learner.model, learner.optimizer, training.epoch)

            if training.epoch == plan.last_epoch:
                return
            if self.train_epoch is None and is_compiled(learner.model):
                self._fit(training, plan, shown, end_epoch)
                return
            while training.epoch < plan.last_epoch:
                self._begin_epoch(training, training.epoch + 1, shown)
                training.batches = self._batches(training, learner, shown)
                with self._streams(training, learner):
                    if self.train_epoch is not None:
                        self.train_epoch(training)
                    else:
                        self._train_epoch(training, learner, shown)
                end_epoch()

    def _learner_of(self, seed: int) -> Learner:
        """The learner, which has the initial weights of `seed` now."""
        fresh, logits = self.making.model(seed)
        if self._learner is None or not self._learner.begin(fresh, logits):
            self._learner = Learner(
                self.making,
                fresh,
                self.making.float32_twin(fresh, seed),
                classes=logits.shape[1],
                training_source=self.source,
                recipe=self.recipe,
                make_optimizer=self.make_optimizer,
                loss=self.loss,
                scores=self.scores,
                save_probabilities=self.save_probabilities,
            )
        return self._learner

    def _begin_epoch(self, training: Training, epoch: int, shown: Progress) -> None:
        training.epoch = epoch
        shown.begin_epoch(training.seed, epoch)
        reseed(training.model, stream_seed(training.seed, "epoch", epoch))

    def _streams(self, training: Training, learner: Learner) -> AbstractContextManager[None]:
        """The global generators as the epoch has them, where something may draw from them."""
        is_ours = self.train_epoch is None and self.augmentation is None and learner.step.takes_rows
        if is_ours and not learner.step.draws:
            return nullcontext()  # TensorFlow forgets its compiled kernels when it is seeded
        return seeded(stream_seed(training.seed, "epoch", training.epoch))

    def _fit(
        self, training: Training, plan: SeedPlan, shown: Progress, end_epoch: Callable[[], None]
    ) -> None:
        def begin_epoch(epoch: int) -> None:
            self._begin_epoch(training, epoch, shown)
            seed_all(stream_seed(training.seed, "epoch", epoch))

        with seeded(0):
            fit(
                training.model,
                lambda epoch: self._augmented(training.seed, epoch),
                steps=self.steps,
                after=training.epoch,
                last=plan.last_epoch,
                callbacks=self.callbacks() if self.callbacks is not None else (),
                begin_epoch=begin_epoch,
                end_step=shown.step,
                end_epoch=end_epoch,
            )

    def _factor(self, epoch: float) -> float | None:
        """By what the learning rate is multiplied; None where it is the optimizer's own matter."""
        if self.schedule is not None:
            return self.schedule(epoch)
        return None if self.make_optimizer is not None else self.recipe.learning_rate_factor(epoch)

    def _before_steps(self, training: Training, learner: Learner, shown: Progress) -> Iterator[int]:
        """The steps of an epoch; sets the learning rate before each."""
        for step in range(self.steps):
            if not is_compiled(learner.model):
                learner.set_rate(self._factor(training.epoch - 1 + step / self.steps))
            yield step
            shown.step()

    def _of_epoch(self, one_pass: Callable[[int], Iterable[T]], epoch: int) -> Iterator[T]:
        return batches_of_epoch(
            one_pass,
            epoch,
            steps_per_epoch=self.steps_per_epoch,
            steps_per_pass=self.source.steps(self.recipe.batch_size),
        )

    def _augmented(self, seed: int, epoch: int) -> Iterator[RawBatch]:
        draws = stream_seed(seed, "epoch", epoch)
        given = self._of_epoch(
            lambda number: self.source.shuffled(self.recipe.batch_size, stream_seed(seed, "order", number)),
            epoch,
        )
        for step, batch in enumerate(given):
            if self.augmentation is not None:
                inputs = self.augmentation(batch.inputs)
            else:
                inputs = augment(batch.inputs, self.recipe.augmentation, seed=_draw(draws, step))
            yield RawBatch(batch.ids, inputs, batch.labels)

    def _batches(self, training: Training, learner: Learner, shown: Progress) -> Iterator[RawBatch]:
        """The epoch's batches, augmented; sets the learning rate before each."""
        given = self._augmented(training.seed, training.epoch)
        for _, batch in zip(self._before_steps(training, learner, shown), given, strict=False):
            if self.source.labels is None:
                check_labels(batch.labels, classes=learner.classes)
            yield batch

    def _train_epoch(self, training: Training, learner: Learner, shown: Progress) -> None:
        if self.augmentation is not None or not learner.step.takes_rows:
            for batch in training.batches:
                learner.step.on_batch(batch)
            return
        source, size = cast(ArraySource, self.source), self.recipe.batch_size

        def rows_of_pass(number: int) -> Iterator[NumpyArray]:
            order = source.order(stream_seed(training.seed, "order", number))
            return (order[step * size : (step + 1) * size] for step in range(source.steps(size)))

        draws = stream_seed(training.seed, "epoch", training.epoch)
        given = self._of_epoch(rows_of_pass, training.epoch)
        for step, rows in zip(self._before_steps(training, learner, shown), given, strict=False):
            learner.step.on_rows(rows, _draw(draws, step))


def _draw(stream: int, step: int) -> tf.Tensor:
    """The seed of what a step draws, shape (2,), int64."""
    return tf.constant([stream, step], tf.int64)
