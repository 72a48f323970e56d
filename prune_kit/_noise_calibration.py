"""Models of label noise on top of calibrated predictions, fitted by maximum likelihood.

Each example has a true class k, drawn from clean probabilities p_k, and the label that was given, drawn from
row k of a transition matrix T. The clean probabilities are the network's, rescaled or mixed, and shifted
(temperature and matrix scaling, Guo et al., ICML 2017):

    p = softmax(a * log q + b)     or     p = softmax(log q @ W + b)

with q the network's probabilities, averaged over seeds; for a network early in training is unsure, takes some
classes for others, and hedges against the wrong labels that it was trained on. The parameters maximise

    sum_i log sum_k p_ik T[k, y_i]  -  sharpness * sum_i entropy(p_i)  +  log prior(W)

The likelihood alone can hardly tell a network that is unsure of the classes from one that is sure of them
and has seen wrong labels, and leans to the former, for the probabilities were fitted to these very labels;
a little entropy leans to the latter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._noise_links import LIKELIEST, Link, Mixing, Scaling
from ._noise_sample import Classes, Floats, at_most
from ._noise_transition import SPARSEST, best_concentration, transition_matrix

SHARPNESS, MIXED_SHARPNESS = 0.05, 0.03
"""Weights of the entropy, chosen on CIFAR-10 and digits with planted noise (benchmarks/results/noise.md)."""
# The fits see at most so many candidates of examples, or for W so many examples.
_MOST_ENTRIES, _MOST_MIXED_EXAMPLES = 1 << 21, 25_000
# A round is so many steps of W and b at most, then so many of T, which are cheap and slow to settle.
_STEPS, _TRANSITION_STEPS, _MOST_ROUNDS = 20, 8, 100
_SETTLED, _CONVERGED = 1e-4, 2e-6


@dataclass(frozen=True)
class CalibratedModel:
    """What was fitted."""

    weights: Floats
    """W above, shape (c, c), or a, shape ()."""
    shift: Floats
    """b above, shape (c,)."""
    transition: Floats
    """T above, shape (c, c): rows are true classes, columns given labels; rows sum to 1."""

    def posterior(self, log_q: Floats, labels: Classes) -> Floats:
        """Probability of each true class given prediction and label, shape (b, c)."""
        joint = self._joint(log_q, labels)
        return np.asarray(joint / joint.sum(axis=1, keepdims=True))

    def log_likelihood(self, log_q: Floats, labels: Classes) -> Floats:
        """Log P(label | prediction) of each example, shape (b,)."""
        return np.asarray(np.log(self._joint(log_q, labels).sum(axis=1)))

    def _joint(self, log_q: Floats, labels: Classes) -> Floats:
        """P(true class, given label | prediction), shape (b, c)."""
        mixed = log_q @ self.weights if self.weights.ndim else log_q * self.weights
        return np.asarray(_softmax(mixed + self.shift)[0] * self.transition[:, labels].T)


def fit_scaled(log_q: Floats, labels: Classes) -> CalibratedModel:
    """Fit the model of few parameters: a, b and T.

    Parameters
    ----------
    log_q
        Shape (n, c): logarithms of probabilities, finite.
    labels
        Shape (n,): the given labels.
    """
    c = log_q.shape[1]
    log_q, labels = at_most(_MOST_ENTRIES // min(c, LIKELIEST), log_q, labels)
    # From the sharp end: all disagreement with the label is noise. Coming from the other end it can stay
    # where there is none.
    counts = np.zeros((c, c))
    np.add.at(counts, (log_q.argmax(axis=1), labels), 1.0)
    sharp = np.append(3.0, np.zeros(c))
    found, transition = _maximise(Scaling(log_q, labels), SHARPNESS, sharp, transition_matrix(counts, 1.0))
    return CalibratedModel(np.asarray(found[0]), found[1:], transition)


def fit_mixed(log_q: Floats, labels: Classes) -> CalibratedModel:
    """Fit the model of many parameters, W, b and T, from that of few.

    Parameters
    ----------
    log_q, labels
        As for `fit_scaled`.
    """
    scaled = fit_scaled(log_q, labels)
    c = log_q.shape[1]
    mixing = Mixing(*at_most(_MOST_MIXED_EXAMPLES, log_q, labels))
    start = np.append(scaled.weights * np.eye(c), scaled.shift)
    found, transition = _maximise(mixing, MIXED_SHARPNESS, start, scaled.transition)
    return CalibratedModel(*mixing.split(found), transition)


def _maximise(link: Link, sharpness: float, parameters: Floats, transition: Floats) -> tuple[Floats, Floats]:
    """The link's parameters and T, by turns."""
    settled, last = False, -np.inf
    for _ in range(_MOST_ROUNDS):
        parameters, objective = _climb(link, sharpness, parameters, transition)
        clean, _ = _softmax(link.logits(parameters))
        for _ in range(_TRANSITION_STEPS):
            counts = _expected_counts(link, clean, transition)
            # Shrinking at once would even out what the first rough posterior could not tell apart.
            transition = transition_matrix(counts, best_concentration(counts) if settled else SPARSEST)
        if abs(objective - last) < (_CONVERGED if settled else _SETTLED):
            if settled:
                break
            settled = True
        last = objective
    return parameters, transition


def _climb(link: Link, sharpness: float, parameters: Floats, transition: Floats) -> tuple[Floats, float]:
    """Some steps of the link's parameters, and the objective that they reach."""
    from scipy.optimize import minimize

    given_class = transition.ravel()[link.cells]
    n = len(given_class)

    def loss_and_gradient(parameters: Floats) -> tuple[float, Floats]:
        clean, log_clean = _softmax(link.logits(parameters))
        joint = clean * given_class
        likelihood = joint.sum(axis=1, keepdims=True)
        negative_entropy = (clean * log_clean).sum(axis=1, keepdims=True)
        prior, by_prior = link.penalty(parameters)
        loss = prior - np.log(likelihood).sum() - sharpness * negative_entropy.sum()
        by_logit = clean - joint / likelihood - sharpness * clean * (log_clean - negative_entropy)
        return float(loss) / n, (link.gradient(by_logit) + by_prior) / n

    found = minimize(
        loss_and_gradient,
        parameters,
        jac=True,
        method="L-BFGS-B",
        bounds=link.bounds,
        options={"maxiter": _STEPS},
    )
    return np.asarray(found.x), -float(found.fun)


def _expected_counts(link: Link, clean: Floats, transition: Floats) -> Floats:
    """How many examples of each true class (row) were given each label, shape (c, c)."""
    joint = clean * transition.ravel()[link.cells]
    posterior = joint / joint.sum(axis=1, keepdims=True)
    counts = np.bincount(link.cells.ravel(), posterior.ravel(), transition.size)
    return np.asarray(counts, np.float64).reshape(transition.shape)


def _softmax(logits: Floats) -> tuple[Floats, Floats]:
    """Probabilities and their logarithms."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    exps = np.exp(shifted)
    sums = exps.sum(axis=1, keepdims=True)
    return exps / sums, shifted - np.log(sums)
