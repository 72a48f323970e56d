"""What a recorder gives for one epoch: the table, and which examples it lacks or saw twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .arrays import NumpyArray
from .epoch_rows import EpochRows
from .ids import some
from .table import ScoreTable

LABEL = "label"
"""The name of the labels among the columns of `EpochRows`."""


@dataclass(frozen=True)
class EpochRecord:
    """What was recorded in one epoch."""

    epoch: int
    table: ScoreTable
    """One row per example that was presented, in the order of the examples."""
    missing: NumpyArray
    """Ids of the examples that were not presented."""
    doubled: NumpyArray
    """Ids of the examples that were presented more than once; their first presentation is in the table."""
    path: Path | None
    """The part that was written; None without a run directory."""

    def complaints(self, examples: int, padding: int) -> Iterator[tuple[str, str]]:
        """What a person should know, by kind: missing and doubled ids, up to `padding` doubled ones apart."""
        if len(self.missing):
            yield (
                "missing",
                f"{len(self.missing)} of {examples} examples were not presented in epoch {self.epoch} "
                f"(ids {some(self.missing.tolist())}), as with drop_last=True: they have no scores of it.",
            )
        if len(self.doubled) > padding:
            yield (
                "doubled",
                f"{len(self.doubled)} examples were presented more than once in epoch {self.epoch} "
                f"(ids {some(self.doubled.tolist())}): their first presentation counts.",
            )


def record_of(
    epoch: int, rows: EpochRows, ids: NumpyArray, provenance: Mapping[str, Any], path: Path | None
) -> EpochRecord:
    """The record of the rows of an epoch; `ids` are those of all examples."""
    columns = rows.columns()
    labels = columns.pop(LABEL)
    missing, doubled = ids[rows.times == 0], ids[rows.times > 1]
    counts = {"missing": len(missing), "doubled": len(doubled)}
    seen = ids[rows.times > 0] if len(missing) else ids
    table = ScoreTable(seen, labels, columns, {**provenance, **counts})
    return EpochRecord(epoch, table, missing, doubled, path)
