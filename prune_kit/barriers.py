"""Error barriers between children of a run's networks: what the adapters have in common.

Two children of one network have its weights at some epoch, and see the examples in different orders from then
on. Where the line between their final weights has low error all along, the network had by that epoch
chosen the basin in which both end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import NumpyArray
from .checks import is_whole_number
from .dynamics_files import BARRIER_FILE, BARRIER_TYPES, Barriers
from .errors import PruneKitError
from .id_index import IdIndex
from .linear_path import LinearPath
from .owned_directory import owned_directory
from .resumed_rows import ResumedRows
from .select import keep_easiest, keep_hardest, keep_random
from .store import Run, check_each_once
from .summary import aggregate_run

_LARGEST_GROUP = 1000
# Seeds of children: none that a run's own networks are likely to have, whose data order they would repeat.
_FIRST_CHILD = 1_000_000


def measure_barriers(
    run: Run,
    train_children: Callable[..., Run],
    path_between: Callable[[Path, Path], LinearPath],
    /,
    *,
    out: str | Path,
    spawn_epochs: Sequence[int],
    epochs: int,
    settings: dict[str, Any],
    group_size: int | None,
    points: int,
    score: str | None,
    score_epoch: int | None,
    seeds: Sequence[int] | None,
) -> Barriers:
    """Train two children from each of some checkpoints, and measure the error on the line between them.

    Parameters
    ----------
    run
        A run that kept its checkpoints.
    train_children
        ``train_children(seeds=, epochs=, run=, initial_weights=, initial_epoch=)`` trains and keeps the last
        checkpoints.
    path_between
        What a model says of every example on the line between two checkpoints.
    settings
        On what else the result depends, as JSON values.
    out, spawn_epochs, epochs, group_size, points, score, score_epoch, seeds
        As for `error_barriers` of an adapter.

    Raises
    ------
    PruneKitError
        If the run lacks a checkpoint, or an option is out of range.
    RunConflictError
        If `out` holds barriers of another kind, or another process is writing to it.
    """
    out = Path(out)
    spawned = _spawned(run, spawn_epochs, epochs, seeds)
    name = score or str((run.config.get("scores") or ["el2n"])[0])
    table = aggregate_run(run, score=name, epoch=score_epoch)
    size = _group_size(group_size, len(table))
    measured = {
        "config": run.config,
        "score": name,
        "score_epoch": table.provenance["epoch"],
        "score_seeds": table.provenance["seeds"],
        "group_size": size,
        "epochs": epochs,
        "points": points,
        **settings,
    }
    with owned_directory(out, record=BARRIER_FILE, kind="a directory of `prunekit barrier`"):
        rows = ResumedRows(
            out / BARRIER_FILE,
            types=BARRIER_TYPES,
            key=("seed", "spawn_epoch", "examples", "alpha"),
            measured=measured,
            made={"run": str(run.path), "made_with": run.made_with},
            made_by="`prunekit barrier`",
        )
        if not (out / BARRIER_FILE).exists():
            rows.add([])  # so that the directory is known for what it is from now on
        for seed, epoch in spawned:
            if (seed, epoch) in rows:
                continue
            children = [_FIRST_CHILD + 2 * seed, _FIRST_CHILD + 2 * seed + 1]
            trained = train_children(
                seeds=children,
                epochs=epochs,
                run=out / "runs" / f"seed={seed}" / f"spawn={epoch}",
                initial_weights=run.checkpoint_path(seed, epoch),
                initial_epoch=epoch,
            )
            path = path_between(*(trained.checkpoint_path(child, epochs) for child in children))
            rows.add(_rows(seed, epoch, path, table.ids, table["score"], size))
        return Barriers(rows.columns())


def _rows(
    seed: int, epoch: int, path: LinearPath, ids: NumpyArray, scores: NumpyArray, size: int
) -> Iterator[dict[str, Any]]:
    groups = {
        "highest": keep_hardest(scores, count=size),
        "lowest": keep_easiest(scores, count=size),
        "random": keep_random(len(scores), count=size, seed=seed),
        "all": np.arange(len(scores)),
    }
    place = IdIndex(path.ids).positions(ids, where="the data")
    for name, positions in groups.items():
        chosen = place[positions]
        errors = path.wrong[:, chosen].mean(axis=1)
        losses = path.loss[:, chosen].mean(axis=1, dtype=np.float64)
        for alpha, error, loss in zip(path.alphas.tolist(), errors.tolist(), losses.tolist(), strict=True):
            values = (seed, epoch, name, len(chosen), alpha, error, loss)
            yield dict(zip(BARRIER_TYPES, values, strict=True))


def _group_size(size: int | None, n: int) -> int:
    if size is None:
        return min(_LARGEST_GROUP, max(1, n // 10))
    if not is_whole_number(size, at_least=1) or size > n:
        raise PruneKitError(
            f"`group_size` must be a whole number from 1 to the number of examples, {n:,}; got {size!r}."
        )
    return int(size)


def _spawned(
    run: Run, spawn_epochs: Sequence[int], epochs: int, seeds: Sequence[int] | None
) -> list[tuple[int, int]]:
    """The seeds and epochs that children are asked of."""
    check_each_once(seeds)
    there = {(s, e) for s in run.seeds for e in run.epochs if run.checkpoint_path(s, e).is_file()}
    if not there:
        raise PruneKitError(
            f"{run.path} has no checkpoints.",
            hint="children need the weights of their parent: make the run with `prunekit score "
            "--save-checkpoints --at-epochs 0,2,4`",
        )
    if not is_whole_number(epochs, at_least=1):
        raise PruneKitError(f"`epochs` must be a whole number of 1 or more; got {epochs!r}.")
    wanted = sorted(set(spawn_epochs))
    if not wanted or not all(is_whole_number(each, at_least=0) and each < epochs for each in wanted):
        raise PruneKitError(
            f"`spawn_epochs` must be epochs from 0 to {epochs - 1}, before the last one that is trained; "
            f"got {list(spawn_epochs)}.",
        )
    chosen = [min(s for s, _ in there)] if seeds is None else list(seeds)
    for seed in chosen:
        own = sorted(e for s, e in there if s == seed)
        if missing := [epoch for epoch in wanted if epoch not in own]:
            raise PruneKitError(
                f"{run.path} has no checkpoint of seed {seed} at epoch {missing[0]}; it has those of epochs "
                f"{', '.join(map(str, own)) or '(none)'}."
            )
    return [(seed, epoch) for seed in chosen for epoch in wanted]
