"""How the scores of a run are spread, epoch by epoch: quantiles of the mean over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .aggregate import mean_over_seeds
from .store import Run
from .summary import scores_by_epoch

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def epoch_quantiles(
    run: Run, /, *, score: str = "el2n", quantiles: Sequence[float] = QUANTILES
) -> list[dict[str, Any]]:
    """Quantiles over the examples of the mean score, at every scored epoch.

    Parameters
    ----------
    run
        A run directory.
    score
        As for `aggregate_run`; scores over epochs are taken up to each epoch.
    quantiles
        Which, from 0 to 1.

    Returns
    -------
    list of dict
        Per scored epoch, ascending, apart from those in which examples were missing: epoch; seeds (how
        many); quantiles (list of float, in the order asked for, each the score of an example: higher is
        harder; NaN where no example has a score yet).

    Raises
    ------
    PruneKitError
        If the run has no such score, or its parts do not fit each other.
    """
    rows = []
    for epoch, matrix in scores_by_epoch(run, score, list):
        known = ~np.isnan(matrix).any(axis=0)
        mean = mean_over_seeds(matrix[:, known])
        # Between a score and infinity (never learned) there is nothing to interpolate.
        found = (
            np.quantile(mean, quantiles, method="nearest") if len(mean) else np.full(len(quantiles), np.nan)
        )
        rows.append({"epoch": epoch, "seeds": len(matrix), "quantiles": [float(value) for value in found]})
    return rows
