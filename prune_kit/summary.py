"""A run in one table: scores averaged over seeds, and how well seeds and epochs agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .aggregate import mean_over_seeds, rank_agreement, standard_error
from .arrays import NumpyArray
from .errors import PruneKitError
from .store import Run
from .table import ScoreTable

EARLY_AGREEMENT = 0.7
"""Below this rank agreement between seeds (or with the last epoch), scores may be taken too early.

Measured on digits, hardest half of ten seeds against a random half: with an agreement of .23 and of .66
(epoch 1 of two settings) the hardest half trained worse than the random one; with .56 and .65 (epoch 2) and
with .80 and more it trained better. The agreement alone does not tell the cases around .6 apart, so the line
is drawn above all that failed.
"""


def aggregate_run(
    run: Run, /, *, score: str = "el2n", epoch: int | None = None, seeds: Sequence[int] | None = None
) -> ScoreTable:
    """Average one score of a run over its seeds, at one epoch.

    Parameters
    ----------
    run
        A run directory, finished or not.
    score
        The score's column.
    epoch
        The epoch; by default the last one at which every seed of the run has been scored.
    seeds
        Which seeds; by default all that have been scored at that epoch.

    Returns
    -------
    ScoreTable
        Columns: score (mean over seeds; higher is harder), standard_error (of that mean; NaN with one seed),
        seeds (how many), rank (1 is the hardest; ties by position, the later one harder), predicted
        (the class that most seeds predict) and p_label (mean probability of the given label).
        The provenance holds the run's config and `agreement`, the mean Spearman rank correlation
        between pairs of seeds (NaN with one seed becomes None).

    Raises
    ------
    PruneKitError
        If the run has no such score or epoch, or its parts do not fit each other.
    """
    from scipy import stats  # takes a second to import

    chosen = default_epoch(run) if epoch is None else epoch
    first: ScoreTable | None = None
    used, values, predicted, p_label = [], [], [], []
    for seed, table in run.read_parts(chosen, seeds):
        first = first or table
        used.append(seed)
        values.append(table[score])
        predicted.append(table["predicted"])
        if "p_label" in table:
            p_label.append(table["p_label"])
    assert first is not None
    matrix = np.stack(values)
    mean = mean_over_seeds(matrix)
    columns = {
        "score": mean,
        "standard_error": standard_error(matrix),
        "seeds": np.full(len(first), len(used), np.int32),
        "rank": hardness_rank(mean),
        "predicted": stats.mode(np.stack(predicted), axis=0).mode,
    }
    if p_label:
        columns["p_label"] = mean_over_seeds(np.stack(p_label))
    provenance = {
        "run": str(run.path),
        "config": run.config,
        "made_with": run.made_with,
        "score": score,
        "direction": "higher is harder",
        "epoch": chosen,
        "seeds": used,
        "agreement": _mean_agreement(matrix),
    }
    return ScoreTable(first.ids, first.labels, columns, provenance)


def agreement_by_epoch(run: Run, /, *, score: str = "el2n") -> list[dict[str, Any]]:
    """How well the scores of a run agree, epoch by epoch: low agreement says "too early".

    Returns
    -------
    list of dict
        Per scored epoch, ascending: epoch; seeds (how many); agreement (mean Spearman correlation between
        pairs of seeds, None with one seed); with_last (Spearman correlation between the mean scores of this
        epoch and those of the last one, None at the last one).
    """
    rows: list[dict[str, Any]] = []
    means: dict[int, NumpyArray] = {}
    for epoch in sorted({e for _, e in run.parts()}):
        matrix = np.stack([table[score] for _, table in run.read_parts(epoch)])
        means[epoch] = mean_over_seeds(matrix)
        rows.append({"epoch": epoch, "seeds": len(matrix), "agreement": _mean_agreement(matrix)})
    for row in rows:
        is_last = row["epoch"] == max(means)
        row["with_last"] = (
            None if is_last else _mean_agreement(np.stack([means[row["epoch"]], means[max(means)]]))
        )
    return rows


def default_epoch(run: Run, /) -> int:
    """The last epoch at which every seed of the run has been scored.

    Raises
    ------
    PruneKitError
        If there is none.
    """
    parts = run.parts()
    for epoch in sorted({e for _, e in parts}, reverse=True):
        if {s for s, e in parts if e == epoch} >= set(run.seeds):
            return epoch
    raise PruneKitError(
        f"{run.path} has no epoch at which all of its {len(run.seeds)} seeds have been scored.",
        hint="run the same `prunekit score` command again to finish it, or name an epoch",
    )


def hardness_rank(scores: NumpyArray) -> NumpyArray:
    """Rank of each example, 1 for the hardest, as `keep_hardest` orders them (ties: the later is harder)."""
    order = np.argsort(scores, kind="stable")
    rank = np.empty(len(scores), np.int64)
    rank[order] = np.arange(len(scores), 0, -1)
    return rank


def _mean_agreement(matrix: NumpyArray) -> float | None:
    if len(matrix) < 2:
        return None
    pairs = rank_agreement(matrix)[np.triu_indices(len(matrix), k=1)]
    mean = float(np.mean(pairs))
    return mean if np.isfinite(mean) else None
