"""A model of label noise on top of calibrated predictions, fitted by maximum likelihood.

Each example has a true class k, drawn from clean probabilities p_k, and the label that was given, drawn from
row k of a transition matrix T. The clean probabilities are the network's, sharpened and shifted:

    p = softmax(a * log q + b)        q: the network's probabilities, averaged over seeds

for a network early in training is unsure, and one that was trained on wrong labels hedges against them. The
parameters a, b (one for each class) and T maximise

    sum_i log sum_k p_ik T[k, y_i]  -  SHARPNESS * sum_i entropy(p_i)

by expectation-maximisation. The likelihood alone cannot tell a network that is unsure of the classes from one
that is sure of them and has seen wrong labels, and prefers the former, for the probabilities were fitted to
these very labels; the entropy decides for the latter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._noise_sample import Classes, Floats, at_most
from ._noise_transition import SPARSEST, best_concentration, transition_matrix

SHARPNESS = 0.05
"""Weight of the entropy, chosen on CIFAR-10 and digits with planted noise (benchmarks/results/noise.md)."""
# Sharper than this every example has one class for certain, and none is more suspect than another.
_SHARPEST = 8.0

_MOST_ITERATIONS = 200
_SETTLED, _CONVERGED = 1e-4, 2e-6
# The fit sees at most so many entries of log q, or so many examples of each class where these are more.
_MOST_ENTRIES = 1 << 21
_EXAMPLES_PER_CLASS = 10


@dataclass(frozen=True)
class CalibratedModel:
    """What was fitted."""

    sharpness: float
    """a above."""
    shift: Floats
    """b above, shape (c,)."""
    transition: Floats
    """T above, shape (c, c): rows are true classes, columns given labels; rows sum to 1."""

    def posterior(self, log_q: Floats, labels: Classes) -> Floats:
        """Probability of each true class given prediction and label, shape (b, c)."""
        joint = _softmax(self.sharpness * log_q + self.shift)[0] * self.transition[:, labels].T
        return np.asarray(joint / joint.sum(axis=1, keepdims=True))

    def log_likelihood(self, log_q: Floats, labels: Classes) -> float:
        """Mean over the examples of log P(label | prediction)."""
        clean = _softmax(self.sharpness * log_q + self.shift)[0]
        return float(np.log((clean * self.transition[:, labels].T).sum(axis=1)).mean())


def fit(log_q: Floats, labels: Classes) -> CalibratedModel:
    """Fit the model.

    Parameters
    ----------
    log_q
        Shape (n, c): logarithms of probabilities, finite.
    labels
        Shape (n,): the given labels.
    """
    c = log_q.shape[1]
    most = max(_MOST_ENTRIES // c, _EXAMPLES_PER_CLASS * c)
    return _expectation_maximisation(*at_most(most, log_q, labels))


def _expectation_maximisation(log_q: Floats, labels: Classes) -> CalibratedModel:
    from scipy import sparse  # takes a second to import

    n, c = log_q.shape
    given = sparse.csr_array((np.ones(n), labels, np.arange(n + 1)), shape=(n, c))
    # From the sharp end: all disagreement with the label is noise. Coming from the other end it can stay
    # where there is none.
    counts = np.zeros((c, c))
    np.add.at(counts, (log_q.argmax(axis=1), labels), 1.0)
    transition = transition_matrix(counts, 1.0)
    sharpness, shift = 3.0, np.zeros(c)
    settled, last = False, -np.inf
    for _ in range(_MOST_ITERATIONS):
        clean, log_clean = _softmax(sharpness * log_q + shift)
        joint = clean * transition[:, labels].T
        likelihood = joint.sum(axis=1, keepdims=True)
        objective = float(np.log(likelihood).sum() + SHARPNESS * (clean * log_clean).sum()) / n
        posterior = joint / likelihood
        counts = (given.T @ posterior).T
        # Shrinking at once would even out what the first rough posterior could not tell apart.
        transition = transition_matrix(counts, best_concentration(counts) if settled else SPARSEST)
        sharpness, shift = _clean_parameters(log_q, posterior, sharpness, shift)
        if abs(objective - last) < (_CONVERGED if settled else _SETTLED):
            if settled:
                break
            settled = True
        last = objective
    return CalibratedModel(sharpness, shift, transition)


def _clean_parameters(
    log_q: Floats, posterior: Floats, sharpness: float, shift: Floats
) -> tuple[float, Floats]:
    """A few steps of a and b towards the posterior (the M-step need not be exact)."""
    from scipy.optimize import minimize

    n = len(log_q)

    def loss_and_gradient(parameters: Floats) -> tuple[float, Floats]:
        clean, log_clean = _softmax(parameters[0] * log_q + np.append(parameters[1:], 0.0))
        negative_entropy = (clean * log_clean).sum(axis=1, keepdims=True)
        loss = -((posterior * log_clean).sum() + SHARPNESS * negative_entropy.sum()) / n
        by_logit = clean - posterior - SHARPNESS * clean * (log_clean - negative_entropy)
        gradient = np.append((by_logit * log_q).sum(), by_logit.sum(axis=0)[:-1]) / n
        return float(loss), gradient

    start = np.append(sharpness, (shift - shift[-1])[:-1])
    found = minimize(
        loss_and_gradient,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, _SHARPEST), *[(None, None)] * (len(shift) - 1)],
        options={"maxiter": 5},
    )
    return float(found.x[0]), np.append(found.x[1:], 0.0)


def _softmax(logits: Floats) -> tuple[Floats, Floats]:
    """Probabilities and their logarithms."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    exps = np.exp(shifted)
    sums = exps.sum(axis=1, keepdims=True)
    return exps / sums, shifted - np.log(sums)
