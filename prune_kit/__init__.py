"""Find out which training examples matter: scores, seed averages, subsets and runs on disk."""

from __future__ import annotations

from .aggregate import SeedAverage, mean_over_seeds, rank_agreement, standard_error
from .classes import class_counts
from .compare import ScoreComparison, compare_scores
from .enough_seeds import train_until_reliable
from .epoch_record import EpochRecord
from .errors import MissingExtraError, PruneKitError, RunConflictError, StoreError
from .exclude import exclude_flagged
from .flagging import flag_run
from .forgetting_tracker import ForgettingTracker
from .noise import NoiseFlags, flag_highest, flag_noise
from .randomised_labels import randomise_labels
from .recorder import ScoreRecorder
from .reliability import half_overlap, reliability, seeds_needed
from .retraining import Retraining
from .scores import (
    cross_entropy,
    el2n,
    entropy,
    error_norm,
    grand,
    grand_last_layer,
    logit_margin,
    margin,
    p_label,
    predicted,
    score_columns,
)
from .select import keep_easiest, keep_hardest, keep_random, keep_window
from .store import Run
from .stratified import keep_stratified
from .subset_file import read_ids, write_ids
from .summary import aggregate_run, agreement_by_epoch
from .table import ScoreTable
from .tokens import el2n_tokens, reduce_tokens, token_columns
from .training import Recipe
from .trajectory import aum, confidence, forgetting, last_over_epochs, mean_over_epochs, variability

__all__ = [
    "EpochRecord",
    "ForgettingTracker",
    "MissingExtraError",
    "NoiseFlags",
    "PruneKitError",
    "Recipe",
    "Retraining",
    "Run",
    "RunConflictError",
    "ScoreComparison",
    "ScoreRecorder",
    "ScoreTable",
    "SeedAverage",
    "StoreError",
    "aggregate_run",
    "agreement_by_epoch",
    "aum",
    "class_counts",
    "compare_scores",
    "confidence",
    "cross_entropy",
    "el2n",
    "el2n_tokens",
    "entropy",
    "error_norm",
    "exclude_flagged",
    "flag_highest",
    "flag_noise",
    "flag_run",
    "forgetting",
    "grand",
    "grand_last_layer",
    "half_overlap",
    "keep_easiest",
    "keep_hardest",
    "keep_random",
    "keep_stratified",
    "keep_window",
    "last_over_epochs",
    "logit_margin",
    "margin",
    "mean_over_epochs",
    "mean_over_seeds",
    "p_label",
    "predicted",
    "randomise_labels",
    "rank_agreement",
    "read_ids",
    "reduce_tokens",
    "reliability",
    "score_columns",
    "seeds_needed",
    "standard_error",
    "token_columns",
    "train_until_reliable",
    "variability",
    "write_ids",
]
