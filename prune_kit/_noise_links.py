"""How a network's log probabilities give those of the clean classes: two links, few parameters and many.

A link is fitted by gradient ascent, so it gives logits for parameters, and turns gradients by logits into
gradients by parameters. Parameters are one vector; the last c of them are a shift for each class.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ._noise_sample import Classes, Floats

LIKELIEST = 50
"""With more classes than this, an example's clean class is its given label or one of the likeliest."""
# Sharper than this every example has one class for certain, and none is more suspect than another.
_SHARPEST = 8.0
# How far, one standard deviation, the weights of one class for another are from none, and those of the
# classes for themselves from their mean.
_SPREAD = 0.3


class Link(Protocol):
    """Clean classes of n examples; each has m candidates, all c classes or the likeliest of them."""

    cells: Classes
    """Where the pairs (candidate, given label) lie in a flattened transition matrix, shape (n, m)."""
    bounds: list[tuple[float | None, float | None]]
    """Least and largest value of each parameter."""

    def logits(self, parameters: Floats) -> Floats:
        """Logits of the candidates, shape (n, m)."""
        ...

    def gradient(self, by_logit: Floats) -> Floats:
        """Gradient by the parameters from that by the logits."""
        ...

    def penalty(self, parameters: Floats) -> tuple[float, Floats]:
        """Negative logarithm of the parameters' prior, and its gradient."""
        ...


class Scaling:
    """Logits are `a * log_q + b`: parameters a, b (c,)."""

    def __init__(self, log_q: Floats, labels: Classes) -> None:
        n, c = log_q.shape
        self._classes = c
        self._candidates: Classes | None = None
        self._log_q = log_q
        candidates = np.arange(c)[None, :]
        if c > LIKELIEST:
            first = log_q.copy()
            first[np.arange(n), labels] = np.inf
            candidates = np.argpartition(-first, LIKELIEST - 1, axis=1)[:, :LIKELIEST]
            self._candidates = candidates
            self._log_q = np.take_along_axis(log_q, candidates, axis=1)
        self.cells = candidates * c + labels[:, None]
        self.bounds: list[tuple[float | None, float | None]] = [(0.0, _SHARPEST), *[(None, None)] * c]

    def logits(self, parameters: Floats) -> Floats:
        """Logits of the candidates, shape (n, m)."""
        shift = parameters[1:]
        of_candidates = shift if self._candidates is None else shift[self._candidates]
        return np.asarray(parameters[0] * self._log_q + of_candidates)

    def gradient(self, by_logit: Floats) -> Floats:
        """Gradient by the parameters from that by the logits."""
        if self._candidates is None:
            by_shift = by_logit.sum(axis=0)
        else:
            by_shift = np.bincount(self._candidates.ravel(), by_logit.ravel(), self._classes)
        return np.append((by_logit * self._log_q).sum(), by_shift)

    def penalty(self, parameters: Floats) -> tuple[float, Floats]:
        """None: there are few parameters."""
        return 0.0, np.zeros_like(parameters)


class Mixing:
    """Logits are `log_q @ W + b`: parameters W (c, c) in rows, b (c,)."""

    def __init__(self, log_q: Floats, labels: Classes) -> None:
        self._log_q = log_q
        self._classes = c = log_q.shape[1]
        self.cells = np.arange(c) * c + labels[:, None]
        self.bounds: list[tuple[float | None, float | None]] = [(None, None)] * (c * c + c)

    def logits(self, parameters: Floats) -> Floats:
        """Logits of all classes, shape (n, c)."""
        weights, shift = self.split(parameters)
        return self._log_q @ weights + shift

    def gradient(self, by_logit: Floats) -> Floats:
        """Gradient by the parameters from that by the logits."""
        return np.append(self._log_q.T @ by_logit, by_logit.sum(axis=0))

    def penalty(self, parameters: Floats) -> tuple[float, Floats]:
        """Normal around a multiple of the identity."""
        weights, shift = self.split(parameters)
        away = weights - np.trace(weights) / self._classes * np.eye(self._classes)
        gradient = np.append(away / _SPREAD**2, np.zeros_like(shift))
        return float((away**2).sum()) / (2 * _SPREAD**2), gradient

    def split(self, parameters: Floats) -> tuple[Floats, Floats]:
        """W and b."""
        c = self._classes
        return parameters[: c * c].reshape(c, c), parameters[c * c :]
