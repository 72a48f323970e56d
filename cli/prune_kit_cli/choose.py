"""From the options of `prunekit prune` to the positions of the kept examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError
from prune_kit.exclude import exclude_flagged
from prune_kit.select import keep_easiest, keep_hardest, keep_random, keep_window
from prune_kit.stratified import keep_stratified
from prune_kit.table import ScoreTable

from .flag_file import flags_of

METHODS = ("hardest", "easiest", "window", "random", "stratified")
DRAWN = ("random", "stratified")
"""Methods that draw at random: the seed is part of the choice, and ties are not by position."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What `prune` was asked for."""

    method: str
    keep: float
    offset: float | None
    prune_hardest: float
    strata: int
    per_class: bool
    at_least: float | None
    seed: int
    column: str
    exclude_flagged: Path | None

    def as_dict(self) -> dict[str, Any]:
        """What the file of the kept examples says of the choice: what the method does not use is None."""
        is_stratified = self.method == "stratified"
        return {
            "method": self.method,
            "keep": self.keep,
            "offset": self.offset,
            "prune_hardest": self.prune_hardest if is_stratified else None,
            "strata": self.strata if is_stratified else None,
            "per_class": self.per_class,
            "at_least": self.at_least,
            "seed": self.seed if self.method in DRAWN else None,
            "exclude_flagged": None if self.exclude_flagged is None else str(self.exclude_flagged),
        }

    def flagged(self, table: ScoreTable) -> NumpyArray:
        """Which rows of `table` are not to be kept, bool."""
        if self.exclude_flagged is None:
            return np.zeros(len(table), bool)
        return flags_of(self.exclude_flagged, table)

    def positions(self, table: ScoreTable, flagged: NumpyArray) -> Any:
        """Which rows of `table` are kept, of those that are not `flagged`.

        Raises
        ------
        PruneKitError
            If the table lacks the column, its labels are soft where classes are needed, or sizes do not fit.
        """
        options: dict[str, Any] = {"count" if isinstance(self.keep, int) else "fraction": self.keep}
        if self.per_class or self.at_least is not None:
            if table.labels.ndim != 1:
                option = "--per-class" if self.per_class else "--at-least"
                raise PruneKitError(f"{option} needs class indices; the labels of this file are soft.")
            options |= {"labels": table.labels, "at_least": self.at_least}
        scores = np.zeros(len(table)) if self.method == "random" else self._scores(table)
        if flagged.any():
            return exclude_flagged(self._keep(), scores, flagged, **options)
        return self._keep()(scores, **options)

    def _scores(self, table: ScoreTable) -> NumpyArray:
        if self.column not in table and self.column == "score":
            raise PruneKitError(
                f"there is no column 'score'; the columns are {', '.join(table)}.",
                hint="average over the seeds first (`prunekit aggregate`), or name a --column",
            )
        return table[self.column]

    def _keep(self) -> Callable[..., Any]:
        """What chooses, given the scores, the size and perhaps labels and floors."""
        if self.method == "random":
            return lambda scores, **options: keep_random(len(scores), seed=self.seed, **options)
        if self.method == "stratified":
            return partial(
                keep_stratified, prune_hardest=self.prune_hardest, strata=self.strata, seed=self.seed
            )
        if self.offset is not None:
            return partial(keep_window, offset=self.offset)
        return keep_hardest if self.method == "hardest" else keep_easiest
