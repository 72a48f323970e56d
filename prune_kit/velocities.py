"""Kernel velocities of groups of examples through a run's checkpoints: what the adapters have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from .arrays import Array, NumpyArray
from .dynamics import kernel_velocity
from .dynamics_files import VELOCITY_TYPES
from .errors import PruneKitError, StoreError
from .id_index import IdIndex
from .lock import exclusive_lock
from .resumed_rows import ResumedRows
from .score_groups import ScoreGroup, score_groups
from .store import Run, check_each_once
from .summary import aggregate_run


class Kernels(Protocol):
    """Tangent kernels of groups of examples, at the weights of one checkpoint at a time."""

    def load(self, checkpoint: Path) -> None:
        """Go on with these weights."""
        ...

    def kernel(self, group: int) -> Array:
        """The kernel of a group."""
        ...


Interval = tuple[int, int, int]
"""A seed, an epoch and the next one."""


def measure_velocities(
    run: Run,
    make_kernels: Callable[[list[NumpyArray]], Kernels],
    /,
    *,
    out: str | Path,
    group_size: int = 100,
    groups: int | None = 10,
    score: str | None = None,
    score_epoch: int | None = None,
    seeds: Sequence[int] | None = None,
    epochs: Sequence[int] | None = None,
    progress: bool = False,
) -> dict[str, NumpyArray]:
    """Measure how fast the kernel of each group turns, and write the file; go on where it was interrupted.

    Parameters
    ----------
    run
        A run with checkpoints at two epochs or more.
    make_kernels
        Given the ids of the examples of every group, makes what computes their kernels.
    out, group_size, groups, score, score_epoch, seeds, epochs, progress
        As for `kernel_velocities` of an adapter.

    Returns
    -------
    dict of NumPy arrays
        The columns of `read_velocity`: every row of the file.

    Raises
    ------
    PruneKitError
        If the run lacks checkpoints, or an option is out of range.
    RunConflictError
        If `out` holds velocities of other groups or another run, or another process is writing to it.
    """
    out = Path(out)
    name = score or str((run.config.get("scores") or ["el2n"])[0])
    table = aggregate_run(run, score=name, epoch=score_epoch)
    chosen = score_groups(table["score"], size=group_size, count=groups)
    intervals = _intervals(run, seeds, epochs)
    measured = {
        "config": run.config,
        "score": name,
        "score_epoch": table.provenance["epoch"],
        "score_seeds": table.provenance["seeds"],
        "group_size": group_size,
        "first_ranks": [group.first_rank for group in chosen],
    }
    if not out.absolute().parent.is_dir():
        raise StoreError(f"cannot write {out}: there is no folder {out.absolute().parent}.")
    with exclusive_lock(out.with_name(f".{out.name}.lock")):
        rows = ResumedRows(
            out,
            types=VELOCITY_TYPES,
            key=("seed", "epoch", "next_epoch", "group"),
            measured=measured,
            made={"run": str(run.path), "made_with": run.made_with},
            made_by="`prunekit velocity`",
        )
        left = [(*at, g) for at in intervals for g in range(len(chosen)) if (*at, g) not in rows]
        if left:
            kernels = make_kernels([table.ids[group.positions] for group in chosen])
            _measure(run, kernels, chosen, left, rows, progress)
        return rows.columns()


def inputs_of_groups(
    batches: Iterable[tuple[NumpyArray, Any, Any]],
    groups: Sequence[NumpyArray],
    /,
    *,
    pick: Callable[[Any, int, NumpyArray], Any],
    join: Callable[[list[Any]], Any],
) -> list[Any]:
    """The inputs of each group's examples, in the order of its ids; the data is read once.

    Parameters
    ----------
    batches
        Ids, inputs and labels, as a source of an adapter gives them.
    groups
        The ids of each group.
    pick
        ``pick(inputs, n, rows)``: the inputs at some rows of a batch of n examples.
    join
        Puts such inputs one behind the other.

    Raises
    ------
    PruneKitError
        If an example is not in the data.
    """
    wanted = np.concatenate(groups)
    parts, ids = [], []
    for names, inputs, _ in batches:
        rows = np.flatnonzero(np.isin(names, wanted))
        if len(rows):
            parts.append(pick(inputs, len(names), rows))
            ids.append(names[rows])
    if not parts:
        raise PruneKitError(
            "the data has none of the examples that the run scored.", hint="is it other data?"
        )
    index = IdIndex(np.concatenate(ids))
    places = [index.positions(group, where="the data") for group in groups]
    every = join(parts)
    return [pick(every, len(index.ids), rows) for rows in places]


def _measure(
    run: Run,
    kernels: Kernels,
    groups: Sequence[ScoreGroup],
    left: Sequence[tuple[int, int, int, int]],
    rows: ResumedRows,
    progress: bool,
) -> None:
    wanted = {(seed, at, g) for seed, epoch, following, g in left for at in (epoch, following)}
    asked = set(left)
    before: dict[tuple[int, int], tuple[int, Array]] = {}
    with tqdm(total=len(wanted), unit="kernel", disable=None if progress else True) as bar:
        for seed, epoch in sorted({(seed, epoch) for seed, epoch, _ in wanted}):
            bar.set_description(f"seed {seed}, epoch {epoch}")
            kernels.load(run.checkpoint_path(seed, epoch))
            for g, group in enumerate(groups):
                if (seed, epoch, g) not in wanted:
                    continue
                kernel = kernels.kernel(g)
                bar.update()
                if (previous := before.pop((seed, g), None)) and (seed, previous[0], epoch, g) in asked:
                    velocity = _told(previous[1], kernel, f"seed {seed}, epochs {previous[0]} to {epoch}")
                    values = (seed, previous[0], epoch, g, group.first_rank, group.last_rank)
                    row = dict(zip(VELOCITY_TYPES, (*values, group.score, velocity), strict=True))
                    rows.add([row])
                before[seed, g] = (epoch, kernel)
            before = {key: kept for key, kept in before.items() if key[0] == seed}


def _told(kernel: Array, next_kernel: Array, where: str) -> float:
    try:
        return kernel_velocity(kernel, next_kernel)
    except PruneKitError as error:
        raise PruneKitError(f"{where}: {error}") from error


def _intervals(run: Run, seeds: Sequence[int] | None, epochs: Sequence[int] | None) -> list[Interval]:
    """The intervals between successive checkpoints that are asked for."""
    check_each_once(seeds)
    there = {(s, e) for s, e in run.parts() if run.checkpoint_path(s, e).is_file()}
    if not there:
        raise PruneKitError(
            f"{run.path} has no checkpoints.",
            hint="kernels need weights: make the run with `prunekit score --save-checkpoints`",
        )
    chosen = [min(s for s, _ in there)] if seeds is None else list(seeds)
    intervals: list[Interval] = []
    for seed in chosen:
        own = sorted(e for s, e in there if s == seed)
        at = own if epochs is None else sorted(set(epochs))
        if missing := [e for e in at if e not in own]:
            raise PruneKitError(
                f"{run.path} has no checkpoint of seed {seed} at epoch {missing[0]}; it has those of epochs "
                f"{', '.join(map(str, own)) or '(none)'}."
            )
        if len(at) < 2:
            raise PruneKitError(
                f"a velocity is between two checkpoints; seed {seed} of {run.path} has "
                f"{'one' if own else 'none'}, or one epoch was asked for.",
                hint="make the run with `prunekit score --save-checkpoints --at-epochs 0,2,5,10`",
            )
        intervals += [(seed, a, b) for a, b in pairwise(at)]
    return intervals
