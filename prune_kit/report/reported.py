"""What a report is about, in one form: a run directory, or a file of aggregated scores."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .._selection import as_scores
from ..arrays import NumpyArray
from ..classes import Positions, encode_labels
from ..errors import IncompleteEpochError, PruneKitError
from ..id_index import IdIndex
from ..store import Run
from ..summary import aggregate_run, default_epoch
from ..table import ScoreTable


@dataclass(frozen=True, eq=False)
class Reported:
    """Scores of every example, and where they come from."""

    path: Path
    run: Run | None
    """The run, if the report is about one; None of a file."""
    table: ScoreTable
    """The score that the report goes by: columns score, and as far as known standard_error, predicted,
    p_label."""
    score: str
    """What that score is called."""
    others: Mapping[str, NumpyArray]
    """The other scores of the run by name, each of shape (n,): means over the seeds."""

    def __len__(self) -> int:
        return len(self.table)

    @property
    def scores(self) -> NumpyArray:
        """Shape (n,); higher is harder; infinity is a score."""
        return self.table["score"]

    @property
    def made(self) -> dict[str, Any]:
        """The provenance of the scores."""
        return self.table.provenance

    @property
    def config(self) -> dict[str, Any]:
        """What run.json says of the run that the scores come from; empty where that is not known."""
        return dict(self.made.get("config") or {})

    @property
    def has_hard_labels(self) -> bool:
        """Whether every example belongs to one class; otherwise its likeliest class stands for it."""
        return self.table.labels.ndim == 1

    @cached_property
    def order(self) -> Positions:
        """Shape (n,): positions of the examples, easiest first, ties by position, as `keep_window` sorts."""
        return np.argsort(self.scores, kind="stable")

    @cached_property
    def places(self) -> Positions:
        """Shape (n,): where each example stands in `order`, from 0."""
        places = np.empty(len(self), np.int64)
        places[self.order] = np.arange(len(self))
        return places

    @cached_property
    def _encoded(self) -> tuple[NumpyArray, Positions]:
        labels = self.table.labels
        return encode_labels(labels if self.has_hard_labels else labels.argmax(axis=1))

    @property
    def classes(self) -> list[int]:
        """The labels that occur, ascending."""
        labels: list[int] = self._encoded[0].tolist()
        return labels

    @property
    def codes(self) -> Positions:
        """Shape (n,): the index of each example's class in `classes`."""
        return self._encoded[1]

    @cached_property
    def class_names(self) -> list[str]:
        """What the classes are called, in the order of `classes`."""
        return [self.name_of(label) for label in self.classes]

    def name_of(self, label: int) -> str:
        """What the class `label` is called: by its number where the run does not say."""
        known = self.config.get("class_names") or []
        return str(known[label]) if 0 <= label < len(known) else str(label)


def read_reported(path: str | Path, /, *, score: str | None = None, epoch: int | None = None) -> Reported:
    """Read what a report is about.

    Parameters
    ----------
    path
        A run directory, or a Parquet file that `prunekit aggregate` wrote.
    score, epoch
        Of a run: which score the report goes by, and at which epoch; by default its first, at the last
        epoch that every seed reached.

    Raises
    ------
    PruneKitError
        If a score or an epoch is asked of a file, or the scores are missing, NaN or no numbers.
    StoreError
        If there is no such run or file, or it is damaged.
    """
    path = Path(path)
    if path.is_dir():
        return _of_run(Run.open(path), score, epoch)
    if score is not None or epoch is not None:
        raise PruneKitError(
            f"a score and an epoch are chosen of a run; {path} is not a directory.",
            hint="leave them out, or give the run that the file comes from",
        )
    table = ScoreTable.read(path)
    if "score" not in table:
        raise PruneKitError(
            f"{path} has no column 'score'; its columns are {', '.join(table)}.",
            hint="give a run directory, or a file of `prunekit aggregate`",
        )
    as_scores(table["score"])  # refuses what has no order
    return Reported(path, None, table, str(table.provenance.get("score", "score")), {})


def _of_run(run: Run, score: str | None, epoch: int | None) -> Reported:
    stored = [str(name) for name in run.config.get("scores") or ["el2n"]]
    chosen = default_epoch(run) if epoch is None else epoch
    first = score or stored[0]
    table = aggregate_run(run, score=first, epoch=chosen)
    wanted = [name for name in stored if name != first]
    if first != "forgetting" and table.labels.ndim == 1 and _epochs_are_common(run, table, chosen):
        wanted.append("forgetting")
    others = {}
    for name in wanted:
        with suppress(IncompleteEpochError):  # recorded in passes that left examples out
            other = aggregate_run(run, score=name, epoch=chosen, seeds=table.provenance["seeds"])
            places = IdIndex(other.ids).positions(table.ids, where=str(run.path))
            others[name] = other["score"][places]
    return Reported(run.path, run, table, first, others)


def _epochs_are_common(run: Run, table: ScoreTable, until: int) -> bool:
    """Whether all seeds of the table were scored at the same epochs, two or more: forgetting needs it."""
    scored = [{e for s, e in run.parts() if s == seed and e <= until} for seed in table.provenance["seeds"]]
    return len(scored[0]) > 1 and all(epochs == scored[0] for epochs in scored)
