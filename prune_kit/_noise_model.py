"""What a model of label noise says."""

from __future__ import annotations

from typing import Protocol

from ._noise_sample import Classes, Floats


class NoiseModel(Protocol):
    """What was fitted."""

    @property
    def transition(self) -> Floats:
        """Shape (c, c): rows are true classes, columns given labels; rows sum to 1."""
        ...

    def posterior(self, log_q: Floats, labels: Classes) -> Floats:
        """Probability of each true class given prediction and label, shape (b, c)."""
        ...

    def log_likelihood(self, log_q: Floats, labels: Classes) -> Floats:
        """Log P(label | prediction) of each example, shape (b,)."""
        ...
