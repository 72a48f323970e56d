"""Predictions and labels, drawn from models that are known, for the tests of label noise."""

import numpy as np
import pytest


@pytest.fixture
def clusters():
    def clusters(rate, *, n=3000, c=4, lean=0.0, spread=0.15, hedge=0.3, seed=0):
        """Log probabilities in a cluster for each class, all of them hedging between a class and the next.

        Which label was given says nothing about where in its cluster an example lies, but for `lean`.
        """
        rng = np.random.default_rng(seed)
        true = rng.choice(c, n)
        given = np.where(rng.random(n) < rate, (true + 1) % c, true)
        centres = np.log((1 - hedge - 0.05) * np.eye(c) + hedge * np.roll(np.eye(c), 1, axis=1) + 0.05 / c)
        logits = centres[true] + spread * rng.standard_normal((n, c)) + lean * np.eye(c)[given]
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), given, true

    return clusters


@pytest.fixture
def confused():
    def confused(rate, *, n=6000, c=4, seed=0):
        """Log probabilities of a network that takes a class for the next one, true classes, and given labels.

        The clean probabilities are drawn, and the true classes from them; the network's logits are the clean
        ones, mixed: each has 0.7 of the next class's, and half of the size. So what is right is W = inverse.
        """
        rng = np.random.default_rng(seed)
        clean = rng.dirichlet(np.full(c, 0.15), n)
        true = (rng.random((n, 1)) > clean.cumsum(axis=1)).sum(axis=1).clip(0, c - 1)
        given = np.where(rng.random(n) < rate, (true + rng.integers(1, c, n)) % c, true)
        mixing = 0.5 * (np.eye(c) + 0.7 * np.roll(np.eye(c), 1, axis=1))
        logits = np.log(clean + 1e-4) @ mixing
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), true, given

    return confused
