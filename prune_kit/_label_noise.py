"""Which model of label noise the labels speak for: calibrated predictions, or clusters of predictions.

Where the network tells the classes apart, the clusters find what a network that hedges, or has begun to
memorise, hides from its own probabilities; early on hard data there are no clusters. The model under which
the labels are likelier is taken, with one exception: a network that memorises makes every label likely.
Where it does (predictions lean towards their labels), clusters that lie clearly apart are believed.
"""

from __future__ import annotations

from typing import Protocol

from . import _noise_calibration, _noise_clusters
from ._noise_sample import Classes, Floats

_APART = 0.06
"""Clusters lie apart where the mean entropy of an example's cluster is below this, in nats.

With digits it was .03 to .06 from the fourth epoch on, with CIFAR-10 after two to four epochs .5 to 1.
"""
_MEMORISED = 0.1
"""The lean, in logarithms of probabilities, from which on labels are being memorised.

With digits it was .02 to .08 at the epochs at which noise is best found, .2 to .8 later on.
"""


class NoiseModel(Protocol):
    """What was fitted."""

    @property
    def transition(self) -> Floats:
        """Shape (c, c): rows are true classes, columns given labels; rows sum to 1."""
        ...

    def posterior(self, log_q: Floats, labels: Classes) -> Floats:
        """Probability of each true class given prediction and label, shape (b, c)."""
        ...


def fit(log_q: Floats, labels: Classes) -> NoiseModel:
    """Fit both models, and give the one that is to be believed.

    Parameters
    ----------
    log_q
        Shape (n, c): logarithms of probabilities, finite.
    labels
        Shape (n,): the given labels.
    """
    calibrated = _noise_calibration.fit(log_q, labels)
    clusters = _noise_clusters.fit(log_q, labels)
    if clusters is None:
        return calibrated
    is_likelier = clusters.log_likelihood(log_q, labels) >= calibrated.log_likelihood(log_q, labels)
    hides = clusters.lean > _MEMORISED and clusters.overlap(log_q) < _APART
    return clusters if is_likelier or hides else calibrated
