"""The logits of a model in inference mode; of one that ends in a softmax, what goes into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..batches import Inputs, logits_of
from ..calling import call
from ..softmax import before_softmax, warn_of_softmax


class Logits:
    """Gives a model's logits for a batch.

    Only the graph of a model tells whether it ends in a softmax: known from the first call inside of one on.
    """

    def __init__(self, model: Callable[..., Any]) -> None:
        self._model = model
        self.ends_in_softmax = False
        self._as_graph = tf.function(self._before_softmax, autograph=False, reduce_retracing=True)

    def __call__(self, inputs: Inputs) -> Any:
        """Logits, examples first."""
        if not tf.executing_eagerly():
            return self._before_softmax(inputs)
        return self._as_graph(inputs) if self.ends_in_softmax else logits_of(call(self._model, inputs))

    def _before_softmax(self, inputs: Inputs) -> Any:
        outputs = logits_of(call(self._model, inputs))
        logits = before_softmax(outputs)
        if logits is not outputs and not self.ends_in_softmax:
            self.ends_in_softmax = True
            warn_of_softmax(self._model)
        return logits
