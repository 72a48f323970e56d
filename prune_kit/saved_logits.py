"""Scores from logits that are on disk already: each file, or each row of a 3-dimensional array, is a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import NumpyArray
from .data.array_files import reading
from .errors import PruneKitError, StoreError
from .ids import check_ids
from .scores import check_score_names, score_columns
from .store import Run
from .table import ScoreTable
from .training import run_config, versions, what_is_left


def score_saved_logits(
    logits: Sequence[str | Path],
    labels: str | Path | None = None,
    /,
    *,
    run: str | Path,
    ids: str | Path | None = None,
    epoch: int = 0,
    scores: Sequence[str] = ("el2n",),
    from_logits: bool = True,
    save_probabilities: bool = False,
) -> Run:
    """Score saved logits into a run directory.

    Parameters
    ----------
    logits
        Files: .npy of shape (n, c) for one seed or (seeds, n, c) for several, memory-mapped, so that they
        may be larger than memory; or .npz with such an array as `logits`.
    labels
        .npy of shape (n,) or (n, c), or .npz with `labels`. May be left out if the first file of `logits`
        is an .npz that has `labels`.
    run
        The run directory; one that is there is resumed.
    ids
        .npy of shape (n,), integers or strings; by default `ids` of the .npz, else positions.
    epoch
        The epoch that the logits are from, for the record.
    scores
        Names of scores.
    from_logits
        False where the files hold probabilities.
    save_probabilities
        Whether the parts have the probability of every class too, n x c, which `flag_run` takes.

    Returns
    -------
    Run
        The run directory, with a part for every seed.

    Raises
    ------
    StoreError
        If a file is missing, cut short, or not what its suffix claims.
    PruneKitError
        If shapes do not fit each other, or values are NaN or infinite.
    """
    check_score_names(scores)
    files = [Path(file) for file in logits]
    if not files:
        raise PruneKitError("`logits` must name at least one file.")
    label_file = Path(labels) if labels is not None else files[0]
    if labels is None and label_file.suffix != ".npz":
        raise PruneKitError(
            "labels must be given: an .npy of shape (n,), beside the logits.", hint="--labels FILE"
        )
    given_labels = _load(label_file, "labels")
    if given_labels.ndim not in (1, 2):
        raise PruneKitError(
            f"{label_file} must hold labels of shape (n,) or (n, classes); got {given_labels.shape}."
        )
    seeds = [seed for file in files for seed in _seeds_of(file)]
    given_ids = check_ids(_ids(ids, files[0], len(given_labels)), len(given_labels))
    if not len(given_labels):
        raise PruneKitError(f"{label_file} must hold a label per example; it has none.")
    for file, seed_logits in seeds:
        if len(seed_logits) != len(given_labels):
            raise PruneKitError(
                f"{file} has {len(seed_logits)} rows of logits, {label_file} has {len(given_labels)} labels.",
                hint="row i of every file must be the same example",
            )
    config = {
        **run_config(
            "arrays",
            examples=len(given_labels),
            fingerprint=hashlib.sha256(
                np.ascontiguousarray(given_labels).tobytes() + np.ascontiguousarray(given_ids).tobytes()
            ).hexdigest(),
            scores=scores,
            save_probabilities=save_probabilities,
        ),
        "logits": {f"seed={i}": f"{file.name} {_digest(array)}" for i, (file, array) in enumerate(seeds)},
        "from_logits": from_logits,
    }
    numbers = range(len(seeds))
    opened = Run.start(run, config=config, seeds=numbers, epochs=[epoch], made_with=versions(), scores=scores)
    with opened as opened_run:
        for plan in what_is_left(opened_run, numbers, [epoch], checkpoints=False):
            file, seed_logits = seeds[plan.seed]
            try:
                columns = score_columns(
                    seed_logits,
                    given_labels,
                    scores=scores,
                    from_logits=from_logits,
                    probabilities=save_probabilities,
                )
            except PruneKitError as error:
                raise PruneKitError(f"{file}: {error}") from error
            as_float32 = {n: c.astype(np.float32) if c.dtype.kind == "f" else c for n, c in columns.items()}
            provenance = {**config, "seed": plan.seed, "epoch": epoch}
            opened_run.write_part(
                plan.seed, epoch, ScoreTable(given_ids, given_labels, as_float32, provenance)
            )
    return opened_run


def _seeds_of(file: Path) -> Iterator[tuple[Path, NumpyArray]]:
    array = _load(file, "logits")
    if array.ndim == 2:
        yield file, array
    elif array.ndim == 3 and len(array):
        yield from ((file, seed) for seed in array)
    else:
        raise PruneKitError(
            f"{file} must hold logits of shape (n, classes) or (seeds, n, classes); got {array.shape}."
        )


def _digest(logits: NumpyArray) -> str:
    """What tells logits from others: of 64 rows, evenly spread, for the file may be larger than memory."""
    rows = np.unique(np.linspace(0, len(logits) - 1, 64).astype(int))
    digest = hashlib.sha256(f"{logits.dtype}{logits.shape}".encode())
    digest.update(np.ascontiguousarray(logits[rows]).tobytes())
    return digest.hexdigest()[:16]


def _ids(ids: str | Path | None, first: Path, n: int) -> NumpyArray:
    if ids is not None:
        return _load(Path(ids), "ids")
    if first.suffix == ".npz":
        with np.load(first, allow_pickle=False) as archive:
            if "ids" in archive:
                return np.asarray(archive["ids"])
    return np.arange(n)


def _load(file: Path, name: str) -> NumpyArray:
    with reading(file):
        if file.suffix == ".npy":
            return np.load(file, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
        with file.open("rb") as opened:
            loaded: Any = np.load(opened, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            if name not in loaded:
                raise StoreError(f"{file} has no array {name!r}; it has {', '.join(loaded.files) or 'none'}.")
            return np.asarray(loaded[name])
