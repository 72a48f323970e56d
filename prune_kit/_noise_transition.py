"""The transition matrix of label noise from expected counts, shrunk as far as the evidence for that goes.

Rows are true classes, columns given labels. The rows are shrunk towards equal rates of all wrong classes
(empirical Bayes), so that noise of either kind, spread over all classes or between pairs of them, is found
with few examples.
"""

from __future__ import annotations

import numpy as np

from ._noise_sample import Floats

SPARSEST = 0.1
"""The concentration under which a label has one or two wrong classes."""
# Concentrations of the prior of which wrong class a label is: from "one or two of them" to "all alike".
_CONCENTRATIONS = (SPARSEST, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1e3, 1e5)
# Each class's own error rate is drawn towards that of all by as many imagined examples.
_RATE_EXAMPLES = 10.0


def transition_matrix(counts: Floats, concentration: float) -> Floats:
    """T from expected counts of (true, given), shrunk."""
    c = len(counts)
    sizes = counts.sum(axis=1)
    wrong = sizes - np.diag(counts)
    overall = (wrong.sum() + 0.5) / (sizes.sum() + 1.0)
    rates = (wrong + _RATE_EXAMPLES * overall) / (sizes + _RATE_EXAMPLES)
    # A rate of 1 could never come down again.
    rates = np.clip(rates, 1e-9, 1.0 - 1e-6)
    others = counts + concentration
    np.fill_diagonal(others, 0.0)
    transition = others / others.sum(axis=1, keepdims=True) * rates[:, None]
    transition[np.arange(c), np.arange(c)] = 1.0 - rates
    return np.asarray(transition)


def best_concentration(counts: Floats) -> float:
    """The concentration under which the expected counts of wrong labels are likeliest (Dirichlet)."""
    from scipy.special import gammaln

    c = len(counts)
    others = counts[~np.eye(c, dtype=bool)]
    totals = others.reshape(c, c - 1).sum(axis=1)
    # The others add nothing, and with many classes they are most.
    found = others[others > 0.0]

    def evidence(concentration: float) -> float:
        prior = (c - 1) * concentration
        rows = gammaln(prior) - gammaln(prior + totals)
        return float(rows.sum() + (gammaln(found + concentration) - gammaln(concentration)).sum())

    return max(_CONCENTRATIONS, key=evidence)
