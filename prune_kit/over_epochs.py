"""Scores over the epochs of a run, from the columns that its parts hold already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from .arrays import NumpyArray
from .errors import PruneKitError, StoreError
from .id_index import IdIndex
from .ids import some
from .store import Run, check_each_once, check_same_pass
from .table import ScoreTable
from .trajectory import (
    aum,
    check_never_learned,
    confidence,
    forgetting,
    last_over_epochs,
    mean_over_epochs,
    variability,
)

_CORRECT = "correct"
_OF_COLUMNS: dict[str, tuple[tuple[str, ...], Callable[..., Any]]] = {
    "forgetting": ((_CORRECT,), forgetting),
    "aum": (("logit_margin", "margin"), aum),
    "confidence": (("p_label",), confidence),
    "variability": (("p_label",), variability),
}
_HINT_TO_PRESENT = "train for more epochs, or with a loader that leaves no examples out"
_OF_ANY = {"mean_": mean_over_epochs, "last_": last_over_epochs}

OVER_EPOCHS = (*_OF_COLUMNS, *(prefix + "SCORE" for prefix in _OF_ANY))
"""Names of scores over epochs; SCORE stands for any stored score, as in mean_el2n."""


def is_over_epochs(score: str) -> bool:
    """Whether `score` names a score over epochs."""
    return score in _OF_COLUMNS or score.startswith(tuple(_OF_ANY))


def check_is_score(column: str) -> None:
    """Refuse the columns of a part that are no scores, for which higher would not be harder.

    Raises
    ------
    PruneKitError
        For "predicted" and "p_label".
    """
    if column in ("predicted", "p_label"):
        raise PruneKitError(
            f"{column} is no score: higher is not harder.",
            hint="confidence is the score that p_label gives over epochs, el2n or cross_entropy at one",
        )


@dataclass(frozen=True)
class OverEpochs:
    """A score over epochs of every seed of a run, every example in the same place."""

    ids: NumpyArray
    labels: NumpyArray
    seeds: tuple[int, ...]
    epochs: tuple[int, ...]
    """The epochs that were taken, ascending."""
    column: str
    """What the score was computed from: a stored column, or "correct"."""
    scores: Mapping[int, NumpyArray]
    """By epoch: the score over the epochs up to it, float32, shape (seeds, n); NaN for what was not
    presented by then."""
    predicted: NumpyArray
    """The class predicted at the last presentation, shape (seeds, n)."""
    p_label: NumpyArray | None
    """The probability of the label at the last presentation, shape (seeds, n), where it is stored."""


def over_epochs(
    run: Run,
    score: str,
    /,
    *,
    until: int | None = None,
    at: Callable[[Sequence[int]], Sequence[int]] = lambda epochs: epochs[-1:],
    seeds: Sequence[int] | None = None,
    never_learned: float = float("inf"),
) -> OverEpochs:
    """Compute a score over the epochs of a run, seed by seed.

    Parameters
    ----------
    run
        A run directory.
    score
        One of `OVER_EPOCHS`.
    until
        The last epoch to take; by default the last that all of the seeds have.
    at
        Chooses, of the epochs that are taken, those up to which the score is computed.
    seeds
        Which seeds; by default all that have been scored.
    never_learned
        As for `forgetting`.

    Raises
    ------
    PruneKitError
        If the column is not stored, seeds were scored at different epochs, an example was never
        presented, or labels differ between parts.
    """
    check_never_learned(never_learned)
    check_each_once(seeds)
    chosen = sorted({seed for seed, _ in run.parts()}) if seeds is None else list(seeds)
    epochs = _common_epochs(run, chosen, until)
    index = IdIndex(_all_ids(run, chosen, epochs))
    first = run.read_part(chosen[0], epochs[0])
    column = _column(score, first, run)
    labels = _Labels(index.ids, first)
    compute = _function(score)
    if score == "forgetting":
        compute = partial(compute, never_learned=never_learned)
    wanted = at(epochs)
    scores: dict[int, list[NumpyArray]] = {epoch: [] for epoch in wanted}
    predicted, p_label = [], []
    for seed in chosen:
        trajectory = _read(run, seed, epochs, column, index, labels)
        never = index.ids[~trajectory.seen.any(axis=0)]
        if len(never):
            raise StoreError(
                f"{run.path}: {len(never)} of {len(index.ids)} examples were never presented to seed {seed} "
                f"up to epoch {epochs[-1]} (ids {some(never.tolist())}).",
                hint=_HINT_TO_PRESENT,
            )
        for epoch in wanted:
            scores[epoch].append(trajectory.score(compute, epochs.index(epoch) + 1))
        predicted.append(trajectory.predicted)
        if trajectory.p_label is not None:
            p_label.append(trajectory.p_label)
    return OverEpochs(
        index.ids,
        labels.values,
        tuple(chosen),
        tuple(epochs),
        column,
        {epoch: np.stack(rows) for epoch, rows in scores.items()},
        np.stack(predicted),
        np.stack(p_label) if p_label else None,
    )


@dataclass(frozen=True)
class _Trajectory:
    """One seed from epoch to epoch: values and whether they are there, (epochs, n); others as they ended."""

    values: NumpyArray
    seen: NumpyArray
    predicted: NumpyArray
    p_label: NumpyArray | None

    def score(self, compute: Callable[..., Any], count: int) -> NumpyArray:
        """The score over the first `count` epochs, float32, (n,); NaN where nothing was presented by then."""
        seen = self.seen[:count]
        if seen.all():
            return np.asarray(compute(self.values[:count]), np.float32)
        there = seen.any(axis=0)
        result = np.full(there.shape, np.nan, np.float32)
        if there.any():
            result[there] = compute(self.values[:count, there], seen=seen[:, there])
        return result


def _function(score: str) -> Callable[..., Any]:
    if score in _OF_COLUMNS:
        return _OF_COLUMNS[score][1]
    return _OF_ANY[score[: score.index("_") + 1]]


def _column(score: str, table: ScoreTable, run: Run) -> str:
    names = _OF_COLUMNS[score][0] if score in _OF_COLUMNS else (score[score.index("_") + 1 :],)
    if score not in _OF_COLUMNS:
        check_is_score(names[0])
    if table.labels.ndim == 2 and score in _OF_COLUMNS:
        raise PruneKitError(
            f"{score} needs one class per example; the labels of {run.path} are soft.",
            hint="mean_el2n and last_el2n take any labels",
        )
    for name in names:
        if name == _CORRECT or name in table:
            return name
    raise PruneKitError(
        f"{score} is computed from the column {' or '.join(names)}; {run.path} has {', '.join(table)}.",
        hint=f"score with --score {names[0]}, or record scores=({names[0]!r}, ...)",
    )


def _common_epochs(run: Run, seeds: Sequence[int], until: int | None) -> list[int]:
    by_seed = {seed: [e for s, e in run.parts() if s == seed] for seed in seeds}
    if not by_seed or not all(by_seed.values()):
        without = [seed for seed, epochs in by_seed.items() if not epochs]
        of = f" of the seeds {some(without)}" if without else " yet"
        raise StoreError(f"{run.path} has no scores{of}.")
    last = min(max(epochs) for epochs in by_seed.values())
    if until is not None and until > last:
        raise StoreError(f"{run.path} has not all seeds at epoch {until}; the last epoch of all is {last}.")
    last = last if until is None else until
    taken = {seed: [e for e in epochs if e <= last] for seed, epochs in by_seed.items()}
    first = taken[seeds[0]]
    for seed, epochs in taken.items():
        if epochs != first:
            raise StoreError(
                f"{run.path}: a score over epochs needs every seed at the same epochs; seed {seeds[0]} has "
                f"{', '.join(map(str, first))}, seed {seed} has {', '.join(map(str, epochs))}.",
                hint="finish the run, or name the seeds",
            )
    if not first:
        raise StoreError(f"{run.path} has no scores up to epoch {last}.")
    return first


def _all_ids(run: Run, seeds: Sequence[int], epochs: Sequence[int]) -> NumpyArray:
    """The ids of all examples: those of a part that lacks none, else all that occur, sorted."""
    found: list[NumpyArray] = []
    for seed, epoch in product(seeds, epochs):
        table = run.read_part(seed, epoch, columns=())
        if not table.provenance.get("missing", 0):
            return table.ids
        found.append(table.ids)
    ids = np.unique(np.concatenate(found))
    expected = (run.config.get("data") or {}).get("examples", len(ids))
    if len(ids) < expected:
        raise StoreError(
            f"{run.path}: {expected - len(ids)} of {expected} examples were never presented up to epoch "
            f"{epochs[-1]}.",
            hint=_HINT_TO_PRESENT,
        )
    return ids


class _Labels:
    """The labels of all examples, collected from parts that must agree on them."""

    def __init__(self, ids: NumpyArray, first: ScoreTable) -> None:
        self.values = np.zeros((len(ids), *first.labels.shape[1:]), first.labels.dtype)
        self._first = first
        self._known = np.zeros(len(ids), bool)

    def add(self, table: ScoreTable, places: NumpyArray, where: str) -> None:
        """Take in the labels of a part whose rows belong at `places`."""
        check_same_pass(self._first, table, where)
        if table.labels.shape[1:] != self.values.shape[1:]:
            raise StoreError(f"{where}: labels have another shape than those of other parts.")
        differ = (self.values[places] != table.labels).reshape(len(table), -1).any(axis=1)
        differ &= self._known[places]
        if differ.any():
            raise StoreError(
                f"{where}: labels differ from those of other parts, of the ids "
                f"{some(table.ids[differ].tolist())}.",
                hint="scores over epochs need labels that stay the same: record them before any mixing",
            )
        self.values[places], self._known[places] = table.labels, True


def _read(
    run: Run, seed: int, epochs: Sequence[int], column: str, index: IdIndex, labels: _Labels
) -> _Trajectory:
    shape = (len(epochs), len(index.ids))
    is_correct = column == _CORRECT
    seen = np.zeros(shape, bool)
    values = np.zeros(shape, bool if is_correct else np.float32)
    predicted = np.zeros(shape[1], np.int64)
    p_label: NumpyArray | None = np.zeros(shape[1], np.float32)
    for row, epoch in enumerate(epochs):
        table = run.read_part(seed, epoch, columns={"predicted", "p_label", column})
        where = f"{run.path}, seed {seed}, epoch {epoch}"
        places = index.positions(table.ids, where=where)
        labels.add(table, places, where)
        seen[row, places] = True
        values[row, places] = table["predicted"] == table.labels if is_correct else table[column]
        predicted[places] = table["predicted"]
        if p_label is not None and "p_label" in table:
            p_label[places] = table["p_label"]
        else:
            p_label = None
    return _Trajectory(values, seen, predicted, p_label)
