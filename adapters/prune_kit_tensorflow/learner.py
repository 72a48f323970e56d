"""The model that every seed trains in turn: its functions are traced once, its weights are set anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from prune_kit.errors import PruneKitError
from prune_kit.table import ScoreTable
from prune_kit.training import Recipe, stream_seed

from .checkpoints import load_checkpoint
from .randomness import seeded
from .scoring import Scorer
from .sgd import SGD
from .sources import Source
from .train_step import Loss, TrainStep, cross_entropy
from .trial import first_logits
from .weights import copy_weights, shapes_of

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


@dataclass(frozen=True)
class Making:
    """How a seed's model comes into being, and where."""

    make_model: Callable[[], Any]
    source: Source
    device: str
    strategy: tf.distribute.Strategy | None
    precision: str
    initial_weights: str | Path | None = None

    def scope(self) -> AbstractContextManager[Any]:
        """Where variables are made and steps run: on the device, or the strategy's devices."""
        scope: AbstractContextManager[Any] = (
            tf.device(self.device) if self.strategy is None else self.strategy.scope()
        )
        return scope

    def model(self, seed: int, *, precision: str | None = None) -> tuple[Any, tf.Tensor]:
        """The model with the weights that `seed` starts from, and its logits of the first examples."""
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(_POLICIES[precision or self.precision])
        try:
            with seeded(stream_seed(seed, "weights")), self.scope():
                model = self.make_model()
                logits = first_logits(model, self.source)[0]
                if self.initial_weights is not None:
                    load_checkpoint(model, self.initial_weights)  # now that the model is built
                    logits = first_logits(model, self.source)[0]
                return model, logits
        finally:
            keras.config.set_dtype_policy(before)

    def float32_twin(self, model: Any, seed: int) -> Any:
        """The model to score in place of `model`: itself, unless that computes in lower precision."""
        return model if self.precision == "float32" else self.model(seed, precision="float32")[0]


def is_compiled(model: Any) -> bool:
    """Whether `model` brings its own optimizer and loss."""
    return isinstance(model, keras.Model) and bool(model.compiled)


class Learner:
    """A model with its optimizer, its compiled step and its scorer.

    Parameters
    ----------
    making
        Where it is trained.
    model, scored
        What is trained, and what is scored: the same, or one in float32 beside one in mixed precision.
    classes
        How many logits it gives.
    training_source, recipe, make_optimizer, loss, scores, save_probabilities
        As for `train_seeds`.
    """

    def __init__(
        self,
        making: Making,
        model: Any,
        scored: Any,
        *,
        classes: int,
        training_source: Source,
        recipe: Recipe,
        make_optimizer: Callable[[], Any] | None,
        loss: Loss | None,
        scores: Sequence[str],
        save_probabilities: bool,
    ) -> None:
        self.model = model
        self.classes = classes
        self._scored = scored
        self._making = making
        with making.scope():
            self.optimizer = self._optimizer(recipe, make_optimizer)
            self.optimizer.build(model.trainable_variables)
        self._untrained = [np.array(tf.convert_to_tensor(v)) for v in self.optimizer.variables]
        rate = self.optimizer.learning_rate
        self._rate = float(tf.convert_to_tensor(rate))
        self._factor: float | None = None  # not known: another seed's, or a saved state's
        self.step = TrainStep(
            model,
            self.optimizer,
            loss or cross_entropy,
            augmentation=recipe.augmentation,
            source=training_source,
            strategy=making.strategy,
        )
        self._scorer = Scorer(scored, scores=scores, probabilities=save_probabilities)

    def _optimizer(self, recipe: Recipe, make_optimizer: Callable[[], Any] | None) -> Any:
        if is_compiled(self.model):
            return self.model.optimizer
        if make_optimizer is None:
            return SGD(recipe.learning_rate, momentum=recipe.momentum, decay=recipe.weight_decay)
        optimizer = make_optimizer()
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            raise PruneKitError(
                f"`optimizer` must make a Keras optimizer; it gives {type(optimizer).__name__}.",
                hint="such as `lambda: keras.optimizers.Adam(1e-3)`",
            )
        return optimizer

    def begin(self, fresh: Any, logits: tf.Tensor) -> bool:
        """Take the weights of `fresh`, and forget what the optimizer knows.

        Returns
        -------
        bool
            Whether this model is now the same function: else it holds more of a seed than its weights,
            and `fresh` cannot be trained by way of it.
        """
        if shapes_of(fresh) != shapes_of(self.model):
            return False
        copy_weights(fresh, self.model)
        for variable, value in zip(self.optimizer.variables, self._untrained, strict=True):
            variable.assign(value)
        self._factor = None
        own, _ = first_logits(self.model, self._making.source)
        return bool(np.allclose(own, logits, rtol=1e-3, atol=1e-3))

    def set_rate(self, factor: float | None) -> None:
        """Have the learning rate be `factor` times what it was at first; as it is, if None."""
        if factor is None or factor == self._factor:
            return
        try:
            self.optimizer.learning_rate = self._rate * factor
        except TypeError as error:
            raise PruneKitError(
                "`schedule` sets the learning rate, but the optimizer has a schedule of its own.",
                hint="make the optimizer with a number as its learning rate",
            ) from error
        self._factor = factor

    def score(self, source: Source, *, batch_size: int | None) -> ScoreTable:
        """Score every example under the weights as they are."""
        if self._scored is not self.model:
            copy_weights(self.model, self._scored)
        return self._scorer(source, batch_size=batch_size)
