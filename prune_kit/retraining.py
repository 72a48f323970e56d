"""What was retrained on subsets of the data, on disk: retrain.json, a run for each subset, accuracies."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .accuracy import ACCURACY_COLUMNS, accuracy_of, summarise
from .arrays import NumpyArray
from .atomic import atomic_path
from .column_files import read_columns, write_columns
from .differences import differences
from .errors import RunConflictError, StoreError
from .owned_directory import FORMAT, owned_directory, read_record
from .store import Run

_CONTENT = {
    "config": dict,
    "subsets": dict,
    "seeds": list,
    "epochs": int,
    "at_epochs": list,
    "equal": str,
    "test": dict,
    "made_with": dict,
}
_MADE_BY = "`prunekit retrain`"


class Retraining:
    """Networks trained on subsets of some data, and their accuracies on test data.

    An adapter's `retrain` makes one; `Retraining.read` looks at one.

    Attributes
    ----------
    path : Path
        The directory.
    subsets : dict
        By name: ``kept`` and ``of``, how many examples it has and the data has; ``drawn``, where it is drawn
        anew for every seed.
    seeds : list of int
        The seeds of the trainings, the same for every subset, ascending.
    epochs : int
        How long was trained.
    equal : {"steps", "epochs"}
        What is the same for all subsets.
    test : dict
        ``examples`` and ``fingerprint`` of the test data, and what else is known of it.
    config : dict
        What else the accuracies depend on.
    rows : list of dict
        For every subset, seed and scored epoch, in this order: ``subset``, ``kept``, ``seed``, ``epoch``,
        ``steps`` (taken until then), ``accuracy`` (the share of the test examples, from 0 to 1).
    """

    def __init__(self, path: Path, content: Mapping[str, Any], rows: Sequence[dict[str, Any]]) -> None:
        self.path = path
        self.subsets: dict[str, dict[str, Any]] = dict(content["subsets"])
        self.seeds: list[int] = list(content["seeds"])
        self.epochs: int = content["epochs"]
        self.equal: str = content["equal"]
        self.test: dict[str, Any] = dict(content["test"])
        self.config: dict[str, Any] = dict(content["config"])
        self.rows: list[dict[str, Any]] = list(rows)

    @classmethod
    def read(cls, path: str | Path, /) -> Retraining:
        """The retraining in the directory `path`.

        Raises
        ------
        StoreError
            If there is none, it is damaged, or it was interrupted before the first result.
        """
        path = Path(path)
        content = _read_content(path)
        columns, _ = read_columns(path / "accuracy.parquet", names=ACCURACY_COLUMNS, made_by=_MADE_BY)
        lists = {name: column.tolist() for name, column in columns.items()}
        rows = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
        return cls(path, content, rows)

    def run(self, subset: str, /) -> Run:
        """The run of the trainings on `subset`: the scores of the test examples, and checkpoints."""
        return Run.open(run_path(self.path, subset))

    @property
    def last_epoch(self) -> int:
        """The epoch at which the most trainings were tested, the last one of several; 0 where none was."""
        tested = Counter(row["epoch"] for row in self.rows)
        return max(tested, key=lambda epoch: (tested[epoch], epoch), default=0)

    def summary(self, *, epoch: int | None = None) -> list[dict[str, Any]]:
        """The accuracy of every subset, averaged over its seeds.

        Parameters
        ----------
        epoch
            Which; `last_epoch` by default.

        Returns
        -------
        list of dict
            For each subset, in the order in which they were named: ``subset``, ``kept``, ``seeds`` (how
            many), ``epoch``, ``steps``, ``accuracy`` (mean over the seeds, from 0 to 1) and its
            ``standard_error`` (None of one seed). Then ``difference_to_random`` and ``difference_to_full``:
            the accuracy minus that on another subset of the same size that is drawn anew for every seed,
            and on all of the data; the mean over the seeds that both have, seed by seed. Each with its
            ``..._standard_error``. None where there is no such baseline.

        Raises
        ------
        StoreError
            If nothing was scored at `epoch`.
        """
        if epoch is not None and epoch not in (scored := {row["epoch"] for row in self.rows}):
            raise StoreError(
                f"{self.path} has no accuracies at epoch {epoch}; "
                f"the scored epochs are {', '.join(map(str, sorted(scored)))}."
            )
        return summarise(self.rows, self.subsets, self.last_epoch if epoch is None else epoch)


def run_path(path: Path, subset: str) -> Path:
    """Where the run of the trainings on `subset` is."""
    return path / "runs" / subset


@contextmanager
def start_retraining(path: str | Path, content: Mapping[str, Any], /) -> Iterator[dict[str, Any]]:
    """Begin or go on with the retraining in `path`; nobody else can write to it inside the ``with`` block.

    Parameters
    ----------
    path
        The directory; made where it is not there.
    content
        Of retrain.json. One that is there already may gain subsets, seeds and epochs; a subset of the same
        name must have the same examples, and all else must be equal.

    Yields
    ------
    dict
        The content as it is now written.

    Raises
    ------
    RunConflictError
        If it is another retraining (the message names what differs), or another process is writing.
    StoreError
        If the directory holds something else, or cannot be written.
    """
    path = Path(path)
    file = path / "retrain.json"
    with owned_directory(path, record="retrain.json", kind="a retraining"):
        wanted = json.loads(json.dumps({"format": FORMAT, **content}))
        if file.exists() and _has_results(path):
            wanted = _joined(path, _read_content(path), wanted)
        write_content(path, wanted)
        yield wanted


def write_content(path: Path, content: Mapping[str, Any]) -> None:
    """Write retrain.json."""
    with atomic_path(path / "retrain.json") as aside:
        aside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_accuracies(path: Path, content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Gather the accuracies from the runs that are there, and write accuracy.parquet."""
    rows: list[dict[str, Any]] = []
    for name, subset in content["subsets"].items():
        if not (run_path(path, name) / "run.json").exists():
            continue  # not begun yet
        run = Run.open(run_path(path, name))
        steps = run.config["training"]["steps"]
        for seed, epoch in run.parts():
            accuracy = accuracy_of(run.read_part(seed, epoch, columns=("predicted",)))
            values = (name, subset["kept"], seed, epoch, epoch * steps, accuracy)
            rows.append(dict(zip(ACCURACY_COLUMNS, values, strict=True)))
    kinds: dict[str, Any] = {"subset": str, "accuracy": np.float64}
    columns: dict[str, NumpyArray] = {
        n: np.array([row[n] for row in rows], kinds.get(n, np.int64)) for n in ACCURACY_COLUMNS
    }
    write_columns(path / "accuracy.parquet", columns, content)
    return rows


def _joined(path: Path, before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What was retrained already together with what is asked for now."""
    of_both = {name: subset for name, subset in now["subsets"].items() if name in before["subsets"]}
    fixed = ("config", "test", "equal")
    changed = list(
        differences(
            {name: before[name] for name in fixed} | {"subsets": {n: before["subsets"][n] for n in of_both}},
            {name: now[name] for name in fixed} | {"subsets": of_both},
        )
    )
    if changed:
        raise RunConflictError(
            f"{path} holds another retraining; what differs: {'; '.join(changed)}.",
            hint="give another --out, or repeat the options that it was made with",
        )
    return {
        **now,
        "subsets": before["subsets"] | now["subsets"],
        "seeds": sorted({*before["seeds"], *now["seeds"]}),
        "epochs": max(before["epochs"], now["epochs"]),
        "at_epochs": sorted({*before["at_epochs"], *now["at_epochs"]}),
        "made_with": before["made_with"],
    }


def _read_content(path: Path) -> dict[str, Any]:
    return read_record(path, record="retrain.json", kind="a retraining", fields=_CONTENT, made_by=_MADE_BY)


def _has_results(path: Path) -> bool:
    return any(file.is_file() for file in path.glob("runs/*/*/seed=*/**/*")) or any(
        path.glob("runs/*/resume/*")
    )
