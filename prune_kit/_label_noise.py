"""Which model of label noise is to be believed: calibrated predictions, or clusters of predictions.

Where the network tells the classes apart, the clusters find what a network that hedges, or has begun to
memorise, hides from its own probabilities; early on hard data there are no clusters. The model under which
labels that it was not fitted to are likeliest is believed; on those that it was fitted to, the one with most
parameters would win. There are two exceptions. Noise can pass for classes that are taken for one another: of
two calibrated models that are as good, the one with few parameters is believed. And predictions that memorise
make their labels likely, whatever is true: where they do (predictions lean towards their labels), clusters
that lie clearly apart are believed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ._noise_calibration import fit_mixed, fit_scaled
from ._noise_clusters import fit_clusters
from ._noise_model import NoiseModel
from ._noise_sample import Classes, Floats, at_most

Fit = Callable[[Floats, Classes], NoiseModel]

MOST_CLASSES, LEAST_EXAMPLES_PER_CLASS = 32, 30
"""With more classes or fewer examples, the models of many parameters have nothing to be estimated from."""
_APART = 0.06
"""Clusters lie apart where the mean entropy of an example's cluster is below this, in nats.

With digits it was .03 to .06 from the fourth epoch on, with CIFAR-10 after two to four epochs .5 to 1.
"""
_MEMORISED = 0.05
"""The lean, in logarithms of probabilities, from which on labels are being memorised.

With 10% wrong labels among digits it was .02 to .05 where noise is best found, and .08 to .4 later on.
"""
_FOLDS = 5
# A comparison sees at most so many examples.
_MOST_COMPARED = 10_000


def fit(log_q: Floats, labels: Classes) -> NoiseModel:
    """Fit the model that is to be believed.

    Parameters
    ----------
    log_q
        Shape (n, c): logarithms of probabilities, finite.
    labels
        Shape (n,): the given labels.
    """
    n, c = log_q.shape
    if c > MOST_CLASSES or n < LEAST_EXAMPLES_PER_CLASS * c:
        return fit_scaled(log_q, labels)
    clusters = fit_clusters(log_q, labels)
    if clusters.lean > _MEMORISED and clusters.overlap(log_q) < _APART:
        return clusters
    some = at_most(_MOST_COMPARED, log_q, labels)
    scaled, mixed = held_out(fit_scaled, *some), held_out(fit_mixed, *some)
    gain = mixed - scaled
    is_mixed = gain.mean() > gain.std() / np.sqrt(len(gain))
    if held_out(fit_clusters, *some).mean() >= (mixed if is_mixed else scaled).mean():
        return clusters
    return (fit_mixed if is_mixed else fit_scaled)(log_q, labels)


def held_out(fit: Fit, log_q: Floats, labels: Classes) -> Floats:
    """Log P(label | prediction) of each example under a model that was fitted to others, shape (n,)."""
    fold = np.random.default_rng(0).permutation(len(labels)) % _FOLDS
    found = np.empty(len(labels))
    for k in range(_FOLDS):
        model = fit(log_q[fold != k], labels[fold != k])
        found[fold == k] = model.log_likelihood(log_q[fold == k], labels[fold == k])
    return found
