"""A run on disk: run.json, one Parquet part per seed and epoch, one writer at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .atomic import atomic_path
from .checks import is_whole_number
from .differences import differences
from .errors import IncompleteEpochError, PruneKitError, RunConflictError, StoreError
from .owned_directory import FORMAT, damaged, owned_directory, read_record
from .table import ScoreTable

_CONTENT = {"config": dict, "seeds": list, "epochs": list, "made_with": dict, "directions": dict}
_PART = re.compile(r"seed=(\d+)/epoch=(\d+)/part-0\.parquet$")


class Run:
    """A run directory: what was run, and the scores of each seed and epoch.

    Make one with `Run.start` (which resumes) or look at one with `Run.open`.

    Attributes
    ----------
    path : Path
        The directory.
    config : dict
        What was run: everything on which the scores depend, apart from seeds and epochs.
    seeds, epochs : list of int
        The seeds and the scored epochs that were asked for so far, ascending.
    made_with : dict of str
        Versions of the kit, the framework, NumPy and Python.
    """

    def __init__(self, path: Path, content: Mapping[str, Any]) -> None:
        self.path = path
        self.config: dict[str, Any] = dict(content["config"])
        self.seeds: list[int] = list(content["seeds"])
        self.epochs: list[int] = list(content["epochs"])
        self.made_with: dict[str, str] = dict(content["made_with"])
        self.directions: dict[str, str] = dict(content["directions"])

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """The run in the directory `path`, to read.

        Raises
        ------
        StoreError
            If there is no run there, or its run.json is damaged or of a newer format.
        """
        path = Path(path)
        content = read_record(
            path,
            record="run.json",
            kind="a run directory",
            fields=_CONTENT,
            made_by="`prunekit score --out RUN`",
        )
        wrong = [
            name
            for name in ("seeds", "epochs")
            if not all(is_whole_number(each, at_least=0) for each in content[name])
        ]
        if wrong:
            raise damaged(path / "run.json", wrong)
        return cls(path, content)

    @classmethod
    @contextmanager
    def start(
        cls,
        path: str | Path,
        /,
        *,
        config: Mapping[str, Any],
        seeds: Iterable[int],
        epochs: Iterable[int],
        made_with: Mapping[str, str],
        scores: Sequence[str] = (),
        wait: float = 0.0,
    ) -> Iterator[Run]:
        """Begin or resume a run; nobody else can write to it inside the ``with`` block.

        A run that is there already must have the same `config`. Its seeds and epochs may grow: each
        part depends on its own seed and epoch alone. A run that failed before its first result is begun
        anew.

        Parameters
        ----------
        path
            The directory; made where it is not there.
        config
            Everything else on which the scores depend, as JSON values. Entries whose name begins with
            ``seed=`` say where that seed's scores come from: a run may gain such entries, and they may
            change until the seed has been scored.
        seeds, epochs
            What is asked for now.
        made_with
            Versions; recorded, not compared.
        scores
            Names of the score columns, all of them higher = harder.
        wait
            Seconds to wait for another process that is writing to the run.

        Raises
        ------
        RunConflictError
            If `config` differs (the message names what differs), or another process is writing.
        StoreError
            If the directory holds something else, or cannot be written.
        """
        path = Path(path)
        # JSON has no tuples: compare what was written with what would be written.
        wanted: dict[str, Any] = json.loads(json.dumps(dict(config)))
        with owned_directory(path, record="run.json", kind="a run directory", wait=wait):
            before = None if not (path / "run.json").exists() else cls.open(path)
            scored = {f"seed={seed}" for seed, _ in before.parts()} if before else set()
            if before is not None and (changed := list(differences(before.config, wanted, scored))):
                if _has_results(path):
                    raise RunConflictError(
                        f"{path} holds another run; what differs: {'; '.join(changed)}.",
                        hint="give another --out, or repeat the options that the run was made with",
                    )
                before = None  # such as bad labels, which were mended since
            content = {
                "format": FORMAT,
                "config": _with_other_seeds(before.config, wanted) if before else wanted,
                "seeds": sorted({*seeds, *(before.seeds if before else ())}),
                "epochs": sorted({*epochs, *(before.epochs if before else ())}),
                "made_with": before.made_with if before else dict(made_with),
                "directions": dict.fromkeys(scores, "higher is harder"),
            }
            with atomic_path(path / "run.json") as aside:
                aside.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            yield cls(path, content)

    def part_path(self, seed: int, epoch: int) -> Path:
        """Where the scores of one seed and epoch are, or will be."""
        return part_path(self.path, seed, epoch)

    def checkpoint_path(self, seed: int, epoch: int) -> Path:
        """Where the weights of one seed and epoch are, or would be."""
        return self.path / "checkpoints" / f"seed={seed}" / f"epoch={epoch}.safetensors"

    def resume_path(self, seed: int) -> Path:
        """Where a training adapter keeps what it needs to go on with an interrupted seed."""
        return self.path / "resume" / f"seed={seed}.pt"

    def parts(self) -> list[tuple[int, int]]:
        """The (seed, epoch) pairs that have been scored, ascending."""
        found = (_PART.search(file.as_posix()) for file in self.path.glob("scores/*/*/part-0.parquet"))
        return sorted((int(match[1]), int(match[2])) for match in found if match)

    def write_part(self, seed: int, epoch: int, table: ScoreTable) -> None:
        """Write the scores of one seed and epoch, whole or not at all.

        Raises
        ------
        RunConflictError
            If they were taken in another kind of pass (training, evaluation) than the run's.
        StoreError
            If the part cannot be written.
        """
        own, given = _pass_of(self.config), _pass_of(table.provenance)
        if own != given:
            raise RunConflictError(
                f"{self.path} holds scores of {own} passes; these are of {_a(given)} pass.",
                hint="record them into another directory: the two cannot be compared",
            )
        path = self.part_path(seed, epoch)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the directory {path.parent} cannot be made: {error.strerror}.") from error
        table.to_parquet(path)

    def read_part(self, seed: int, epoch: int, *, columns: Collection[str] | None = None) -> ScoreTable:
        """The scores of one seed and epoch.

        Parameters
        ----------
        seed, epoch
            Which.
        columns
            Those to read, as far as they are there; all, if not given.

        Raises
        ------
        StoreError
            If that part is missing or damaged.
        """
        path = self.part_path(seed, epoch)
        if not path.exists():
            there = ", ".join(f"seed {s} epoch {e}" for s, e in self.parts()[:8])
            raise StoreError(
                f"{self.path} has no scores of seed {seed} at epoch {epoch}; it has {there or 'none yet'}.",
                hint="run the same `prunekit score` command again to finish the run",
            )
        return ScoreTable.read(path, columns=columns)

    def read_parts(
        self,
        epoch: int,
        seeds: Sequence[int] | None = None,
        *,
        columns: Collection[str] | None = None,
    ) -> Iterator[tuple[int, ScoreTable]]:
        """The scores at `epoch`, seed by seed, every table in the order of the first one's ids.

        Parameters
        ----------
        epoch
            The epoch.
        seeds
            Which seeds; all that have been scored at this epoch by default.
        columns
            Those to read, as far as they are there; all, if not given.

        Raises
        ------
        StoreError
            If there is none, or an id is missing from a part, or its label differs between parts, or
            they were taken in different kinds of pass.
        PruneKitError
            If `seeds` names none, or one twice.
        """
        check_each_once(seeds)
        chosen = [s for s, e in self.parts() if e == epoch] if seeds is None else list(seeds)
        if not chosen:
            scored = sorted({e for _, e in self.parts()})
            raise StoreError(
                f"{self.path} has no scores at epoch {epoch}; "
                f"the scored epochs are {', '.join(map(str, scored)) or '(none yet)'}."
            )
        first: ScoreTable | None = None
        for seed in chosen:
            table = self.read_part(seed, epoch, columns=columns)
            where = f"{self.path}, seed {seed}, epoch {epoch}"
            if lacking := table.provenance.get("missing", 0):
                raise IncompleteEpochError(
                    f"{where}: {lacking} examples were not presented in that epoch and have no scores of it.",
                    hint="take a score over epochs, such as forgetting, aum or last_el2n; or record with a "
                    "loader that leaves no examples out (drop_last=False)",
                )
            if first is None:
                first = table
            else:
                check_same_pass(first, table, where)
                table = _in_order_of(first, table, where)
            yield seed, table


def part_path(run: Path, seed: int, epoch: int) -> Path:
    """Where the scores of one seed and epoch are in the directory `run`."""
    return run / "scores" / f"seed={seed}" / f"epoch={epoch}" / "part-0.parquet"


def check_each_once(seeds: Sequence[int] | None) -> None:
    """Refuse a choice of seeds that names none, or one twice.

    Raises
    ------
    PruneKitError
        Then: twice in a mean, a seed would count twice and the standard error be too small.
    """
    if seeds is not None and (not len(seeds) or len(set(seeds)) < len(seeds)):
        raise PruneKitError(f"`seeds` must name each seed once, and at least one; got {list(seeds)}.")


def check_same_pass(first: ScoreTable, table: ScoreTable, where: str) -> None:
    """Refuse scores taken in training mixed with scores taken in evaluation.

    Raises
    ------
    StoreError
        If both were not taken in the same kind of pass.
    """
    expected, found = _pass_of(first.provenance), _pass_of(table.provenance)
    if expected != found:
        raise StoreError(
            f"{where} was taken in {_a(found)} pass, other parts in {_a(expected)} pass; they do not mix."
        )


def _pass_of(content: Mapping[str, Any]) -> str:
    """In which kind of pass scores were taken; the kit's own verbs evaluate, and need not say it."""
    return str(content.get("pass", "evaluation"))


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _has_results(path: Path) -> bool:
    """Whether a run holds anything that depends on its config."""
    folders = (path / name for name in ("scores", "checkpoints", "resume"))
    return any(file.is_file() for folder in folders for file in folder.rglob("*"))


def _with_other_seeds(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """`now`, and the entries of seeds that are not asked for this time."""
    merged = {key: value for key, value in before.items() if key.startswith("seed=")} | now
    for key, value in now.items():
        if isinstance(value, dict) and isinstance(before.get(key), dict):
            merged[key] = _with_other_seeds(before[key], value)
    return merged


def _in_order_of(first: ScoreTable, table: ScoreTable, where: str) -> ScoreTable:
    if not np.array_equal(first.ids, table.ids):
        for missing_from, ids in ((where, np.setdiff1d(first.ids, table.ids)),
                                  ("the first seed", np.setdiff1d(table.ids, first.ids))):  # fmt: skip
            if len(ids):
                raise StoreError(
                    f"every seed must score the same ids; {len(ids)} are missing from {missing_from}: "
                    f"{', '.join(map(str, ids[:5]))}."
                )
        order = np.argsort(table.ids, kind="stable")
        table = table.take(order[np.searchsorted(table.ids[order], first.ids)])
    if not np.array_equal(first.labels, table.labels):
        raise StoreError(f"{where}: labels differ from the first seed's; these are not seeds of one run.")
    return table
