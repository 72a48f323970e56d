"""A fit sees at most so many examples; what it finds holds for all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int64]


def at_most(most: int, log_q: Floats, labels: Classes) -> tuple[Floats, Classes]:
    """Give the examples, or `most` of them, in their order: always the same ones."""
    n = len(labels)
    if n <= most:
        return log_q, labels
    chosen = np.sort(np.random.default_rng(0).permutation(n)[:most])
    return log_q[chosen], labels[chosen]
