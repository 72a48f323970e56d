"""Gradient norms of models as `predict` takes them: some are built by their first batch."""

from __future__ import annotations

import tensorflow as tf

from .batches import Inputs
from .compiled import Compiled
from .gradients import GradientNorms


class GradientEngine:
    """Gives gradient norms and logits of batches, as `GradientNorms.with_logits` does.

    Parameters
    ----------
    compiled
        The model.
    """

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._norms: GradientNorms | None = None

    def __call__(self, inputs: Inputs, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Norms (b,) and logits (b, c)."""
        if self._norms is None:
            self._compiled(inputs)  # builds what its first batch builds
            self._norms = GradientNorms(self._compiled.model)
        norms, logits = self._norms.with_logits(inputs, labels)
        assert tf.is_tensor(norms)
        return norms, logits
