"""A run in one table: scores averaged over seeds, and how well seeds and epochs agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from .aggregate import mean_over_seeds, standard_error
from .arrays import NumpyArray
from .errors import IncompleteEpochError, PruneKitError
from .over_epochs import OVER_EPOCHS, check_is_score, is_over_epochs, over_epochs
from .reliability import half_overlap, mean_rank_agreement, spearman_brown
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
    run: Run,
    /,
    *,
    score: str = "el2n",
    epoch: int | None = None,
    seeds: Sequence[int] | None = None,
    never_learned: float = float("inf"),
) -> ScoreTable:
    """Average one score of a run over its seeds: a score at one epoch, or one over the epochs up to it.

    Parameters
    ----------
    run
        A run directory, finished or not.
    score
        The score's column, or a score over epochs: forgetting, aum (of logit_margin if that is stored, else
        of margin), confidence, variability, mean_SCORE and last_SCORE of any stored SCORE.
    epoch
        The epoch; by default the last one at which every seed of the run has been scored. For scores over
        epochs the last one that counts.
    seeds
        Which seeds; by default all that have been scored at that epoch.
    never_learned
        Forgetting score of an example that a seed never classified correctly. With infinity, as in the
        paper, its mean over the seeds is infinite where one seed never learned it.

    Returns
    -------
    ScoreTable
        Columns: score (mean over seeds; higher is harder), standard_error (of that mean; NaN with one seed),
        seeds (how many), rank (1 is the hardest; ties by position, the later one harder), predicted
        (the class that most seeds predict) and p_label (mean probability of the given label), both at that
        epoch or, over epochs, at the last presentation.
        The provenance holds the run's config; `agreement`, the mean Spearman rank correlation between pairs
        of seeds, `reliability` of the mean over them and `half_overlap` at a half (see these functions; None
        with one seed); of scores over epochs also the epochs and the column that they are computed from.

    Raises
    ------
    PruneKitError
        If the run has no such score or epoch, or its parts do not fit each other.
    """
    of: dict[str, Any]
    if is_over_epochs(score):
        found = over_epochs(run, score, until=epoch, seeds=seeds, never_learned=never_learned)
        last = found.epochs[-1]
        of = {"epoch": last, "epochs": list(found.epochs), "column": found.column, "seeds": list(found.seeds)}
        matrix, predicted, p_label = found.scores[last], found.predicted, found.p_label
        ids, labels = found.ids, found.labels
    else:
        check_is_score(score)
        chosen = default_epoch(run) if epoch is None else epoch
        # Not all columns: class probabilities of every seed may be more than fits.
        tables = dict(run.read_parts(chosen, seeds, columns=(score, "predicted", "p_label")))
        of = {"epoch": chosen, "seeds": list(tables)}
        first, *_ = tables.values()
        ids, labels = first.ids, first.labels
        if score not in first:
            there = run.read_part(next(iter(tables)), chosen)
            raise PruneKitError(
                f"there is no column {score!r}; the columns are {', '.join(there)}.",
                hint=f"over the epochs of a run there are {', '.join(OVER_EPOCHS)}",
            )
        matrix, predicted = (np.stack([t[name] for t in tables.values()]) for name in (score, "predicted"))
        has_p_label = all("p_label" in table for table in tables.values())
        p_label = np.stack([t["p_label"] for t in tables.values()]) if has_p_label else None
    provenance = {
        "run": str(run.path),
        "config": run.config,
        "made_with": run.made_with,
        "score": score,
        "direction": "higher is harder",
        **of,
        **_trust(matrix),
    }
    return ScoreTable(ids, labels, _columns(matrix, predicted, p_label), provenance)


def _trust(matrix: NumpyArray) -> dict[str, float | None]:
    """How far the mean over the seeds of `matrix` can be trusted, as JSON values."""
    agreement = _mean_agreement(matrix)
    return {
        "agreement": agreement,
        "reliability": None if agreement is None else spearman_brown(agreement, len(matrix)),
        "half_overlap": half_overlap(matrix) if len(matrix) > 1 and matrix.shape[1] > 1 else None,
    }


def _columns(matrix: NumpyArray, predicted: NumpyArray, p_label: NumpyArray | None) -> dict[str, NumpyArray]:
    """The columns of an aggregate, from rows of seeds."""
    from scipy import stats  # takes a second to import

    seeds, n = matrix.shape
    mean = mean_over_seeds(matrix)
    columns = {
        "score": mean,
        "standard_error": standard_error(matrix),
        "seeds": np.full(n, seeds, np.int32),
        "rank": hardness_rank(mean),
        "predicted": stats.mode(predicted, axis=0).mode,
    }
    return columns if p_label is None else {**columns, "p_label": mean_over_seeds(p_label)}


def agreement_by_epoch(
    run: Run, /, *, score: str = "el2n", epochs: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """How well the scores of a run agree, epoch by epoch: low agreement says "too early".

    Parameters
    ----------
    run
        A run directory.
    score
        As for `aggregate_run`; scores over epochs are taken up to each epoch.
    epochs
        Which epochs; all, if not given. The last one is always among them.

    Returns
    -------
    list of dict
        Per scored epoch, ascending, apart from those in which examples were missing: epoch; seeds (how
        many); agreement (mean Spearman correlation between pairs of seeds, None with one seed); with_last
        (Spearman correlation between the mean scores of this epoch and those of the last one, None at the
        last one).
    """

    def wanted(there: Sequence[int]) -> list[int]:
        return [e for e in there if epochs is None or e in epochs or e == there[-1]]

    rows: list[dict[str, Any]] = []
    means: dict[int, NumpyArray] = {}
    for epoch, matrix in scores_by_epoch(run, score, wanted):
        means[epoch] = _mean_where_known(matrix)
        rows.append({"epoch": epoch, "seeds": len(matrix), "agreement": _mean_agreement(matrix)})
    for row in rows:
        is_last = row["epoch"] == max(means)
        row["with_last"] = (
            None if is_last else _mean_agreement(np.stack([means[row["epoch"]], means[max(means)]]))
        )
    return rows


def scores_by_epoch(
    run: Run, score: str, wanted: Callable[[Sequence[int]], list[int]]
) -> Iterator[tuple[int, NumpyArray]]:
    """Epoch by epoch, those that `wanted` chooses of the scored ones: a score of every seed, (seeds, n).

    Epochs in which examples were missing are left out.
    """
    if is_over_epochs(score):
        yield from over_epochs(run, score, at=wanted).scores.items()
        return
    for epoch in wanted(sorted({e for _, e in run.parts()})):
        with suppress(IncompleteEpochError):  # the order of other examples each time says nothing
            parts = run.read_parts(epoch, columns=(score,))
            yield epoch, np.stack([table[score] for _, table in parts])


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
    matrix = matrix[:, ~np.isnan(matrix).any(axis=0)]
    if not matrix.shape[1]:
        return None
    mean = mean_rank_agreement(matrix)
    return mean if np.isfinite(mean) else None


def _mean_where_known(matrix: NumpyArray) -> NumpyArray:
    """Mean over seeds; NaN where a seed has no score yet."""
    known = ~np.isnan(matrix).any(axis=0)
    mean = np.full(known.shape, np.nan)
    if known.any():
        mean[known] = mean_over_seeds(matrix[:, known])
    return mean
