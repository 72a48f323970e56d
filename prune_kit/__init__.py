"""Find out which training examples matter: scores, seed averages, subsets and runs on disk."""

from __future__ import annotations

from .aggregate import SeedAverage, mean_over_seeds, rank_agreement, standard_error
from .classes import class_counts
from .errors import MissingExtraError, PruneKitError, RunConflictError, StoreError
from .scores import (
    cross_entropy,
    el2n,
    entropy,
    error_norm,
    grand,
    grand_last_layer,
    margin,
    p_label,
    predicted,
    score_columns,
)
from .select import keep_easiest, keep_hardest, keep_random, keep_window
from .store import Run
from .subset_file import read_ids, write_ids
from .summary import aggregate_run, agreement_by_epoch
from .table import ScoreTable
from .training import Recipe

__all__ = [
    "MissingExtraError",
    "PruneKitError",
    "Recipe",
    "Run",
    "RunConflictError",
    "ScoreTable",
    "SeedAverage",
    "StoreError",
    "aggregate_run",
    "agreement_by_epoch",
    "class_counts",
    "cross_entropy",
    "el2n",
    "entropy",
    "error_norm",
    "grand",
    "grand_last_layer",
    "keep_easiest",
    "keep_hardest",
    "keep_random",
    "keep_window",
    "margin",
    "mean_over_seeds",
    "p_label",
    "predicted",
    "rank_agreement",
    "read_ids",
    "score_columns",
    "standard_error",
    "write_ids",
]
