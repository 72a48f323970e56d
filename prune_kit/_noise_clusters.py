"""A model of label noise in which classes are clusters of predictions, whatever label was given.

Where a network tells the classes apart, its predictions of one class lie together, those of examples with a
wrong label among them: noise that the network hedges against moves a whole cluster, and no longer hides in
it. Each example has a true class k; its log probabilities z (centred, c - 1 dimensions) are drawn from that
class's multivariate t distribution, and its label from row k of a transition matrix T:

    z ~ t(mean_k + lean * e_label, covariance_k)        label ~ T[k]

`lean` is how far training on a label has already moved the example's own prediction towards it. Fitted by
expectation-maximisation (Peel and McLachlan, Statistics and Computing 2000, for mixtures of t distributions;
Lee et al., ICML 2019, for generative classifiers on features of noisy training). Predictions of classes that
are hardly told apart are no clusters: the labels are then unlikely under this model, which is how it is found
out (`log_likelihood`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._noise_sample import Classes, Floats, at_most
from ._noise_transition import SPARSEST, best_concentration, transition_matrix

_MOST_EXAMPLES = 25_000
# Of the t distribution: heavy tails, so that unusual examples neither widen a cluster nor join another one.
_DEGREES_OF_FREEDOM = 3.0
# A probability below this is no more certain than this one.
_LOG_FLOOR = float(np.log(1e-6))
# Each class's covariance is drawn towards that of all by as many imagined examples, and has this much more.
_COVARIANCE_EXAMPLES, _RIDGE = 50.0, 1e-4
# The lean is small: normal around 0 with a standard deviation of 0.045, in logarithms of probabilities.
# It is seen in wrong labels, and where these are few, unusual examples would be taken for them.
_LEAN_PRECISION = 500.0
_MOST_ITERATIONS = 200
_SETTLED, _CONVERGED = 1e-4, 1e-5


@dataclass(frozen=True)
class ClusterModel:
    """What was fitted; d = c - 1."""

    log_weights: Floats
    """Logarithms of the shares of the true classes, shape (c,)."""
    means: Floats
    """Shape (c, d)."""
    whitening: Floats
    """Inverses of the Cholesky factors of the covariances, shape (c, d, d)."""
    lean: float
    transition: Floats
    """Shape (c, c): rows are true classes, columns given labels; rows sum to 1."""

    def posterior(self, log_q: Floats, labels: Classes) -> Floats:
        """Probability of each true class given prediction and label, shape (b, c)."""
        joint = self._log_joint(_coordinates(log_q), labels)
        joint = np.exp(joint - joint.max(axis=1, keepdims=True))
        return np.asarray(joint / joint.sum(axis=1, keepdims=True))

    def log_likelihood(self, log_q: Floats, labels: Classes) -> Floats:
        """Log P(label | prediction) of each example, shape (b,)."""
        z = _coordinates(log_q)
        n, c = log_q.shape
        evidence = np.full(n, -np.inf)
        for label in range(c):
            of_label = _log_sum(self._log_joint(z, np.full(n, label)))
            evidence = np.logaddexp(evidence, of_label)
        return np.asarray(_log_sum(self._log_joint(z, labels)) - evidence)

    def overlap(self, log_q: Floats) -> float:
        """Mean entropy, in nats, of an example's cluster given its prediction; 0 if they lie far apart."""
        density, _ = _log_density(_coordinates(log_q), self.means, self.whitening)
        joint = density + self.log_weights
        log_posterior = joint - _log_sum(joint)[:, None]
        return float(-(np.exp(log_posterior) * log_posterior).sum(axis=1).mean())

    def _log_joint(self, z: Floats, labels: Classes) -> Floats:
        """Logarithm of P(z, true class, label) but for a constant, shape (b, c)."""
        leant = z - self.lean * _axes(len(self.means))[labels]
        density, _ = _log_density(leant, self.means, self.whitening)
        return np.asarray(density + self.log_weights + np.log(self.transition[:, labels].T))


def fit_clusters(log_q: Floats, labels: Classes) -> ClusterModel:
    """Fit the model.

    Parameters
    ----------
    log_q
        Shape (n, c): logarithms of probabilities, finite.
    labels
        Shape (n,): the given labels.
    """
    log_q, labels = at_most(_MOST_EXAMPLES, log_q, labels)
    return _expectation_maximisation(_coordinates(log_q), labels, log_q.argmax(axis=1))


def _expectation_maximisation(z: Floats, labels: Classes, predicted: Classes) -> ClusterModel:
    n, c = len(z), z.shape[1] + 1
    posterior, reliance = np.eye(c)[predicted], np.ones((n, c))
    lean, settled, last = 0.0, False, -np.inf
    for _ in range(_MOST_ITERATIONS):
        weights = posterior * reliance
        leant = z - lean * _axes(c)[labels]
        means, covariances = _moments(leant, posterior.sum(axis=0), weights)
        whitening = np.linalg.inv(np.linalg.cholesky(covariances))
        counts = np.zeros((c, c))
        np.add.at(counts.T, labels, posterior)
        # Shrinking at once would even out what the first rough posterior could not tell apart.
        concentration = best_concentration(counts) if settled else SPARSEST
        model = ClusterModel(
            np.log((posterior.sum(axis=0) + 1.0) / (n + c)),
            means,
            whitening,
            lean,
            transition_matrix(counts, concentration),
        )
        density, reliance = _log_density(leant, means, whitening)
        joint = density + model.log_weights + np.log(model.transition[:, labels].T)
        evidence = _log_sum(joint)
        posterior = np.exp(joint - evidence[:, None])
        objective = float(evidence.mean())
        if abs(objective - last) < (_CONVERGED if settled else _SETTLED):
            if settled:
                break
            settled = True
        last = objective
        lean = _lean(z, labels, posterior * reliance, whitening)
    return model


def _moments(z: Floats, sizes: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Weighted means and covariances of the clusters, the latter shrunk towards their mean."""
    c = weights.shape[1]
    # A class that nobody predicts begins in the middle.
    few = 1e-3
    means = (weights.T @ z + few * z.mean(axis=0)) / (weights.sum(axis=0)[:, None] + few)
    scatter = np.stack([(weights[:, k, None] * (z - means[k])).T @ (z - means[k]) for k in range(c)])
    pooled = scatter.sum(axis=0) / len(z) + _RIDGE * np.eye(z.shape[1])
    sizes = sizes[:, None, None]
    return means, (scatter + _COVARIANCE_EXAMPLES * pooled) / (sizes + _COVARIANCE_EXAMPLES)


def _lean(z: Floats, labels: Classes, weights: Floats, whitening: Floats) -> float:
    """How far, inside the clusters, predictions lie towards their labels (generalised least squares)."""
    c = weights.shape[1]
    towards = _axes(c)[labels]
    products = squares = 0.0
    for k in range(c):
        share = weights[:, k] / max(float(weights[:, k].sum()), 1e-300)
        apart = (towards - share @ towards) @ whitening[k].T
        products += float(weights[:, k] @ (apart * ((z - share @ z) @ whitening[k].T)).sum(axis=1))
        squares += float(weights[:, k] @ (apart * apart).sum(axis=1))
    return products / (squares + _LEAN_PRECISION)


def _log_density(z: Floats, means: Floats, whitening: Floats) -> tuple[Floats, Floats]:
    """Log density of each cluster's t distribution but for a constant; how far the cluster relies on each."""
    n, d = z.shape
    squares = np.empty((n, len(means)))
    for k, (mean, factor) in enumerate(zip(means, whitening, strict=True)):
        squares[:, k] = (((z - mean) @ factor.T) ** 2).sum(axis=1)
    log_determinants = np.log(np.diagonal(whitening, axis1=1, axis2=2)).sum(axis=1)
    nu = _DEGREES_OF_FREEDOM
    density = log_determinants - 0.5 * (nu + d) * np.log1p(squares / nu)
    return density, (nu + d) / (nu + squares)


def _coordinates(log_q: Floats) -> Floats:
    """Log probabilities in the c - 1 dimensions in which they differ, shape (b, d)."""
    return np.asarray(np.maximum(log_q, _LOG_FLOOR) @ _axes(log_q.shape[1]))


def _axes(c: int) -> Floats:
    """An orthonormal basis of the differences of c numbers, as columns (Helmert), shape (c, c - 1).

    Row k is the direction of class k.
    """
    basis = np.zeros((c, c - 1))
    for j in range(1, c):
        basis[:j, j - 1], basis[j, j - 1] = 1.0, -float(j)
    return np.asarray(basis / np.linalg.norm(basis, axis=0))


def _log_sum(joint: Floats) -> Floats:
    largest = joint.max(axis=1)
    return np.asarray(largest + np.log(np.exp(joint - largest[:, None]).sum(axis=1)))
