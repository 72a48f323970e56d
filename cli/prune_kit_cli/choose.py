"""From the options of `prunekit prune` to the positions of the kept examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prune_kit.errors import PruneKitError
from prune_kit.select import keep_easiest, keep_hardest, keep_random, keep_window
from prune_kit.stratified import keep_stratified
from prune_kit.table import ScoreTable

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
    seed: int
    column: str

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
            "seed": self.seed if self.method in DRAWN else None,
        }

    def positions(self, table: ScoreTable) -> Any:
        """Which rows of `table` are kept.

        Raises
        ------
        PruneKitError
            If the table lacks the column, its labels are soft where classes are needed, or sizes do not fit.
        """
        labels = table.labels if self.per_class else None
        if labels is not None and labels.ndim != 1:
            raise PruneKitError("--per-class needs class indices; the labels of this file are soft.")
        size: dict[str, Any] = {"count": self.keep} if isinstance(self.keep, int) else {"fraction": self.keep}
        if self.method == "random":
            return keep_random(len(table), seed=self.seed, labels=labels, **size)
        if self.column not in table and self.column == "score":
            raise PruneKitError(
                f"there is no column 'score'; the columns are {', '.join(table)}.",
                hint="average over the seeds first (`prunekit aggregate`), or name a --column",
            )
        scores = table[self.column]
        if self.method == "stratified":
            return keep_stratified(
                scores,
                prune_hardest=self.prune_hardest,
                strata=self.strata,
                seed=self.seed,
                labels=labels,
                **size,
            )
        if self.offset is not None:
            return keep_window(scores, offset=self.offset, labels=labels, **size)
        return (keep_hardest if self.method == "hardest" else keep_easiest)(scores, labels=labels, **size)
