"""Gradient norms of models as `predict` takes them: some are built by their first batch."""

from __future__ import annotations

import tensorflow as tf

from .batches import Inputs, Model, outputs
from .gradients import GradientNorms


class GradientEngine:
    """Gives gradient norms and logits of batches, as `GradientNorms.with_logits` does.

    Parameters
    ----------
    model
        See `predict`.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._norms: GradientNorms | None = None

    def __call__(self, inputs: Inputs, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Norms (b,) and logits (b, c)."""
        if self._norms is None:
            outputs(self._model, inputs)  # builds what its first batch builds
            self._norms = GradientNorms(self._model)
        norms, logits = self._norms.with_logits(inputs, labels)
        assert tf.is_tensor(norms)
        return norms, logits
