"""The run directory of a recorder: begun before the first step, a part after each epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .arrays import NumpyArray
from .errors import RunConflictError
from .ids import some
from .store import Run, part_path
from .table import ScoreTable
from .training import versions

_SECONDS_FOR_THE_LOCK = 60.0


class RecordedRun:
    """One seed of a run directory, written by a training loop that is not the kit's.

    Several trainings may record into one directory at the same time, each its own seed: the directory is
    held for the moment of writing alone.

    Parameters
    ----------
    path
        The directory.
    seed
        Which seed is recorded.
    config
        What the scores depend on, the same for all seeds.
    framework
        The package whose version is noted; None if there is none.
    """

    def __init__(
        self, path: Path, seed: int, config: Mapping[str, Any], scores: Sequence[str], framework: str | None
    ) -> None:
        self.path = path
        self._seed = seed
        self._config = dict(config)
        self._scores = tuple(scores)
        self._framework = framework

    def begin(self, *, keep_until: int | None) -> None:
        """Make the directory or see that it can be written to, before any work is done.

        Parameters
        ----------
        keep_until
            Parts of this seed up to this epoch stay, later ones are discarded; None to refuse a run that
            has parts of it.

        Raises
        ------
        RunConflictError
            If the run is another one, or has parts of this seed and `keep_until` is None.
        """
        with self._started(()) as run:
            there = [epoch for seed, epoch in run.parts() if seed == self._seed]
            if there and keep_until is None:
                raise RunConflictError(
                    f"{self.path} holds scores of seed {self._seed} already, at the epochs {some(there)}.",
                    hint="record into another directory, as another seed, go on with load_state_dict(state), "
                    "or give overwrite=True",
                )
            for epoch in there:
                if keep_until is not None and epoch > keep_until:
                    run.part_path(self._seed, epoch).unlink()

    def part_path(self, epoch: int) -> Path:
        """Where the scores of an epoch are, or will be."""
        return part_path(self.path, self._seed, epoch)

    def write(self, epoch: int, table: ScoreTable) -> None:
        """Write a part, whole or not at all."""
        import pyarrow as pa

        with self._started((epoch,)) as run:
            run.write_part(self._seed, epoch, table)
        # The memory is the training's: Arrow would keep what writing took for the next file.
        pa.default_memory_pool().release_unused()

    @contextmanager
    def _started(self, epochs: Iterable[int]) -> Iterator[Run]:
        made_with = versions(*([self._framework] if self._framework else []))
        with Run.start(
            self.path,
            config=self._config,
            seeds=(self._seed,),
            epochs=epochs,
            made_with=made_with,
            scores=self._scores,
            wait=_SECONDS_FOR_THE_LOCK,
        ) as run:
            yield run


def fingerprint(ids: NumpyArray) -> str:
    """SHA-256 of the ids of all examples, 64 hexadecimal digits: what a recorder knows of its data."""
    content = ids.tobytes() if ids.dtype.kind == "i" else "\0".join(ids.tolist()).encode()
    return hashlib.sha256(ids.dtype.kind.encode() + content).hexdigest()
