"""SGD as PyTorch has it, which is what the paper's recipe means: weight decay enters the momentum."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="prune_kit")
class SGD(keras.optimizers.Optimizer):  # type: ignore[misc]  # Keras has no types
    """Nesterov momentum with coupled weight decay.

    With g the gradient plus `decay` times the weight, the velocity v becomes momentum * v + g, and the weight
    loses learning_rate * (g + momentum * v). Keras' own SGD differs twice: its weight decay leaves the
    gradient alone, and its velocity has the learning rate in it, so that a drop of the rate comes late.

    Parameters
    ----------
    learning_rate, momentum, decay
        See above; `momentum` is Nesterov's where it is above 0.
    """

    def __init__(self, learning_rate: float, *, momentum: float, decay: float, **options: Any) -> None:
        super().__init__(learning_rate=learning_rate, **options)
        self.momentum = momentum
        self.decay = decay
        self.velocities: list[Any] = []

    def build(self, variables: list[Any]) -> None:
        """Make the velocities."""
        if self.built:
            return
        super().build(variables)
        if self.momentum:
            self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        """One step of one variable."""
        if isinstance(gradient, tf.IndexedSlices):  # of an embedding; decay and momentum touch every row
            gradient = tf.convert_to_tensor(gradient)
        rate = tf.cast(learning_rate, variable.dtype)
        step = tf.cast(gradient, variable.dtype) + self.decay * variable
        if self.momentum:
            velocity = self.velocities[self._get_variable_index(variable)]
            self.assign(velocity, self.momentum * velocity + step)
            step = step + self.momentum * velocity
        self.assign_sub(variable, rate * step)

    def get_config(self) -> dict[str, Any]:
        """What the optimizer is made from."""
        return {**super().get_config(), "momentum": self.momentum, "decay": self.decay}
