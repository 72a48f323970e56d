"""The slow way that is right for every model: the whole model's gradient, example by example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ..batches import Inputs
from .inputs import examples
from .losses import Loss, loss_gradients
from .trace import UNTRACEABLE


class OneByOne:
    """A backward pass for each example; compiled where the model can be traced and this is wanted."""

    def __init__(
        self, call: Callable[[Inputs], Any], variables: Sequence[tf.Variable], loss: Loss, *, compiled: bool
    ) -> None:
        self._call, self._variables, self._loss = call, variables, loss
        self._compiled = compiled
        self._function = tf.function(self._one)

    def __call__(self, inputs: Inputs, labels: Any, index: Sequence[int]) -> tuple[Any, Any, Any]:
        """The definition, for the examples in `index`.

        Returns
        -------
        tuple
            Squared norms (len(index), variables) in float64 (NaN where the loss does not reach a variable),
            losses (len(index),) and logits (len(index), ...).
        """
        rows = [self._run(examples(inputs, int(labels.shape[0]), [i]), tf.gather(labels, [i])) for i in index]
        squared, losses, logits = (tf.stack(list(column)) for column in zip(*rows, strict=True))
        return squared, losses, logits

    def _run(self, inputs: Inputs, labels: Any) -> Any:
        if self._compiled:
            try:
                return self._function(inputs, labels)
            except UNTRACEABLE:
                self._compiled = False
        return self._one(inputs, labels)

    def _one(self, inputs: Inputs, labels: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for variable in self._variables:
                tape.watch(variable)
            logits = self._call(inputs)
        losses, gradient = loss_gradients(self._loss, logits, labels)
        gradients = tape.gradient(
            logits, list(self._variables), output_gradients=tf.cast(gradient, logits.dtype)
        )
        return tf.stack([_square(g) for g in gradients]), losses[0], logits[0]


def _square(gradient: Any) -> Any:
    if gradient is None:
        return tf.constant(np.nan, tf.float64)
    return tf.reduce_sum(tf.square(tf.cast(tf.convert_to_tensor(gradient), tf.float64)))
