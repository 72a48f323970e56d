"""Which labels of a run look wrong: its class probabilities, averaged over the seeds, and `flag_noise`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .arrays import NumpyArray
from .errors import PruneKitError, StoreError
from .noise import flag_noise
from .store import Run
from .summary import default_epoch
from .table import ScoreTable

_PROBABILITIES = "probabilities"
_MOST_PAIRS = 20


def flag_run(run: Run, /, *, epoch: int | None = None, seeds: Sequence[int] | None = None) -> ScoreTable:
    """Find wrong labels from the class probabilities that a run has stored.

    They are averaged over the seeds, one seed at a time: a few arrays of shape (n, c) are held, however many
    seeds there are.

    Parameters
    ----------
    run
        A run directory, finished or not, that was made with `save_probabilities`.
    epoch
        Of which epoch, an early one: see `flag_noise`. By default the last one at which every seed of the run
        has been scored.
    seeds
        Which seeds; by default all that have been scored at that epoch.

    Returns
    -------
    ScoreTable
        Columns: flagged (bool), probability (that the label is wrong, in [0, 1]; higher is more suspect),
        suggested (the likeliest class if it is), p_label (mean probability of the given label), predicted
        (class of the highest mean probability).
        The provenance holds the run's config; `wrong`, the estimated number of wrong labels; and
        `class_pairs`, [true class, given class, estimated number] of the 20 pairs with most of them.

    Raises
    ------
    PruneKitError
        If the run has no such epoch or stored no probabilities, labels are soft, or parts do not fit each
        other.
    """
    chosen = default_epoch(run) if epoch is None else epoch
    table, mean, averaged = _mean_probabilities(run, chosen, seeds)
    found = flag_noise(mean, table.labels, from_logits=False)
    columns = {
        "flagged": found.flags,
        "probability": found.probability.astype(np.float32),
        "suggested": found.suggested,
        "p_label": mean[np.arange(len(table)), table.labels].astype(np.float32),
        "predicted": mean.argmax(axis=1),
    }
    provenance = {
        "run": str(run.path),
        "config": run.config,
        "made_with": run.made_with,
        "method": "flag_noise",
        "epoch": chosen,
        "seeds": averaged,
        "wrong": found.count,
        "class_pairs": _class_pairs(found.joint),
    }
    return ScoreTable(table.ids, table.labels, columns, provenance)


def _mean_probabilities(
    run: Run, epoch: int, seeds: Sequence[int] | None
) -> tuple[ScoreTable, npt.NDArray[np.float64], list[int]]:
    """A part with the ids and labels, the mean probabilities in its order, and which seeds they are of."""
    first: ScoreTable | None = None
    total = np.empty((0, 0))
    averaged = []
    for seed, table in run.read_parts(epoch, seeds, columns=(_PROBABILITIES,)):
        if _PROBABILITIES not in table:
            raise PruneKitError(
                f"{run.path} has no class probabilities of seed {seed} at epoch {epoch}.",
                hint="score with --save-probabilities (save_probabilities=True) into another directory; from "
                "scores alone, the highest can be flagged (--highest, flag_highest)",
            )
        probabilities = table[_PROBABILITIES]
        if first is None:
            first, total = table, probabilities.astype(np.float64)
        elif probabilities.shape != total.shape:
            raise StoreError(
                f"{run.path}: seed {seed} has {probabilities.shape[-1]} classes at epoch {epoch}, "
                f"the first seed {total.shape[1]}."
            )
        else:
            total += probabilities
        averaged.append(seed)
    assert first is not None  # read_parts gives a part, or raises
    total /= len(averaged)
    return first, total, averaged


def _class_pairs(joint: NumpyArray) -> list[list[Any]]:
    """The pairs of classes with most wrong labels, of those with half a label or more."""
    wrong = joint * ~np.eye(len(joint), dtype=bool)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    true, given = np.unravel_index(order, wrong.shape)
    numbers = wrong[true, given]
    rows = zip(true.tolist(), given.tolist(), numbers.tolist(), strict=True)
    return [[t, g, number] for t, g, number in rows if number >= 0.5]
