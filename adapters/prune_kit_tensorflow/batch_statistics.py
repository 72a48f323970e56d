"""Moving statistics of BatchNormalization, taken anew from data for the weights that a model has now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from prune_kit.errors import PruneKitError

from .batches import Inputs, forward
from .compiled import of_any_size
from .randomness import reseed, seeded
from .sources import Source

_BATCH_SIZE = 256
_SEED = 0


class BatchStatistics:
    """Makes moving means and variances the averages over one pass of shuffled batches, in training mode.

    Batches are shuffled, for those of one class have less variance than the data. Order and dropout are the
    same each time.

    Parameters
    ----------
    model
        Built; its weights may change, its structure may not.
    source
        The training data.
    batch_size
        256 by default.

    Raises
    ------
    PruneKitError
        If the model has no such statistics, or the batches have but one example.
    """

    def __init__(self, model: Any, source: Source, *, batch_size: int | None) -> None:
        self._norms = [
            layer
            for layer in _parts(model)
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        ]
        if not self._norms:
            raise PruneKitError(
                f"`recompute_statistics`: {type(model).__name__} has no batch normalisation with moving "
                "statistics that are trained.",
                hint="leave it out: there is nothing to recompute",
            )
        self._size = batch_size or _BATCH_SIZE
        if min(self._size, len(source)) < 2:
            raise PruneKitError(
                "`recompute_statistics` needs batches of 2 examples or more, for one has no variance; "
                f"`batch_size` is {self._size}, and there are {len(source)} examples."
            )
        self._model = model
        self._source = source
        self._step: Any = None

    def recompute(self) -> None:
        """Take the statistics under the weights that the model has now."""
        moving = [v for norm in self._norms for v in (norm.moving_mean, norm.moving_variance)]
        sums = [np.zeros(variable.shape) for variable in moving]
        batches = 0
        with seeded(_SEED):
            reseed(self._model, _SEED)
            for _, inputs, _ in self._source.shuffled(self._size, _SEED):
                self._pass(inputs)
                for total, variable in zip(sums, moving, strict=True):
                    total += np.asarray(variable, np.float64)
                batches += 1
        for total, variable in zip(sums, moving, strict=True):
            variable.assign(total / batches)

    def _pass(self, inputs: Inputs) -> None:
        if self._step is None:
            momenta = [norm.momentum for norm in self._norms]
            for norm in self._norms:
                norm.momentum = 0.0  # the moving statistics are then those of the batch
            try:
                self._step = tf.function(
                    lambda given: forward(self._model, given, training=True), autograph=False
                ).get_concrete_function(tf.nest.map_structure(of_any_size, inputs))
            finally:
                for norm, momentum in zip(self._norms, momenta, strict=True):
                    norm.momentum = momentum
        self._step(inputs)


def _parts(model: Any) -> Iterator[Any]:
    """The layers of a model, and those inside them."""
    if isinstance(model, keras.Layer):
        yield from model._flatten_layers()
    else:
        yield from model.submodules
