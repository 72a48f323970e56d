"""Scores from a training loop that exists: rows as they are computed, a part of a run after each epoch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .arrays import Array, NumpyArray, is_dask, to_numpy
from .checks import is_whole_number
from .epoch_record import LABEL, EpochRecord, record_of
from .epoch_rows import POSITION, STEP, TIMES, EpochRows, merged
from .errors import PruneKitError
from .id_index import IdIndex
from .ids import check_ids
from .peers import Alone, Peers, everyones, on_rank_0
from .pending import Pending, Waiting, check_batch
from .recorded_run import RecordedRun, fingerprint
from .scores import SCORE_NAMES, check_score_names, score_columns

Pass = Literal["training", "evaluation"]

RECORDED = tuple(name for name in SCORE_NAMES if name != "grand_last_layer")
"""What a recorder computes by name: the scores of logits."""


class ScoreRecorder:
    """Records scores inside any training loop: `update` after each batch, `end_epoch` after each epoch.

    Parameters
    ----------
    run
        The run directory to write to, made where it is not there; None to keep what is recorded in memory
        alone, epoch by epoch, in the records that `end_epoch` gives.
    examples
        How many examples there are, whose ids are then their positions 0 ... n-1; or their ids, (n,),
        integers or strings.
    seed
        Which seed of the run this training is: several trainings, with other initial weights, record into
        one run, also at the same time.
    scores
        Names out of `RECORDED`. "predicted" and "p_label" are recorded beside them; with the default,
        all scores over epochs can be computed from the run.
    taken
        "training": from the forward passes that training does anyway, in train mode and of augmented
        inputs, each example under the weights of its own step. "evaluation": from a pass over the data set
        in inference mode. A run holds one kind.
    described
        What else to write into run.json, such as model and hyper-parameters; JSON values. Other
        trainings that record into the run must give the same.
    overwrite
        Whether to discard what the run holds of this seed. A recorder whose state was loaded goes on
        instead.
    peers
        The processes that train together; adapters give them.
    framework
        What the loop is written in, for run.json; adapters give it.

    Raises
    ------
    PruneKitError
        If an argument is not as described.

    Examples
    --------
    >>> import numpy as np
    >>> recorder = ScoreRecorder(None, 4)
    >>> recorder.update([2, 0], np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([0, 0]))
    >>> recorder.update([1, 3], np.array([[1.0, 0.0], [0.0, 3.0]]), np.array([1, 1]))
    >>> record = recorder.end_epoch()
    >>> record.epoch, record.table.ids, record.table["predicted"]
    (1, array([0, 1, 2, 3]), array([1, 0, 0, 1]))
    """

    def __init__(
        self,
        run: str | Path | None,
        examples: int | Sequence[Any] | Array,
        /,
        *,
        seed: int = 0,
        scores: Sequence[str] = ("el2n", "logit_margin"),
        taken: Pass = "training",
        described: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        peers: Peers | None = None,
        framework: str | None = None,
    ) -> None:
        if not is_whole_number(seed, at_least=0):
            raise PruneKitError(f"`seed` must be a whole number of 0 or more; got {seed!r}.")
        if taken not in ("training", "evaluation"):
            raise PruneKitError(f"`taken` must be 'training' or 'evaluation'; got {taken!r}.")
        check_score_names(scores, known=RECORDED)
        self._ids = _example_ids(examples)
        self._index = IdIndex(self._ids)
        self._seed = int(seed)
        self._scores = tuple(scores)
        self._taken = taken
        self._peers: Peers = peers or Alone()
        self._config = {
            "framework": framework or "arrays",
            "pass": taken,
            "data": {"examples": len(self._ids), "fingerprint": fingerprint(self._ids)},
            "scores": list(scores),
        }
        if reserved := self._config.keys() & (described or {}).keys():
            raise PruneKitError(
                f"`described` must not have entries called {', '.join(sorted(self._config))}, which the "
                f"recorder makes; got {', '.join(sorted(reserved))}.",
                hint="use other names, such as model_name",
            )
        self._config |= dict(described or {})
        self._run = None
        if run is not None:
            self._run = RecordedRun(Path(run), self._seed, self._config, self._scores, framework)
        self._last: int | None = None  # the last epoch recorded
        self._step = 0
        self._largest_batch = 0
        self._rows = EpochRows(len(self._ids))
        self._pending = Pending()
        # What becomes of the parts that the run holds of this seed already, before the first update.
        self._keep_until: int | None = -1 if overwrite else None
        self._is_open = False
        self._warned: set[str] = set()

    @property
    def epoch(self) -> int:
        """The last epoch that was recorded; 0 before the first."""
        return self._last or 0

    @property
    def seen_in_epoch(self) -> int:
        """How many examples this process has recorded since the last `end_epoch`."""
        self._score_pending()
        return len(self._rows.seen)

    def update(self, ids: object, logits: object, labels: object, /) -> None:
        """Record a batch.

        Shapes and types are checked at once; values when enough rows are together, so that a device is
        not waited for at every step. The arrays are copied, and may be changed afterwards.

        Parameters
        ----------
        ids
            Whose rows these are, shape (b,).
        logits
            Shape (b, c), as in `el2n`; detached from any graph.
        labels
            Classes, (b,), or soft labels, (b, c).

        Raises
        ------
        PruneKitError
            If shapes or types do not fit; of earlier batches, if logits are NaN or infinite, labels out of
            range, or ids unknown: the message names the ids.
        RunConflictError
            At the first update, if the run directory holds this seed already or is of another run.
        """
        batch_ids, values, given = check_batch(ids, logits, labels)
        if is_dask(values):
            values = to_numpy(values)
        self._begin()
        if self._pending.is_full or not self._pending.fits(values, given):
            self._score_pending()
        self._pending.add(batch_ids, self._step, values, given)
        self._step += 1
        self._largest_batch = max(self._largest_batch, int(values.shape[0]))

    def end_epoch(self, epoch: int | None = None) -> EpochRecord:
        """End an epoch: write what was recorded of it as a part of the run, whole or not at all.

        Where several processes train together, all must call it; the rows of all are put together, each
        example once.

        Parameters
        ----------
        epoch
            Its number, above that of the last one: completed epochs, so that 0 is initialisation.
            By default one more than the last, from 1 on.

        Warns
        -----
        UserWarning
            The first time that examples were not presented, or more than once.

        Raises
        ------
        PruneKitError
            If nothing was recorded, or as for `update`.
        StoreError
            If the part cannot be written.
        """
        number = self.epoch + 1 if epoch is None else epoch
        if not is_whole_number(number, at_least=0) or (self._last is not None and number <= self._last):
            raise PruneKitError(
                f"`epoch` must be a whole number above the last one recorded, {self._last}; got {epoch!r}."
            )
        self._begin()  # a state may hold the whole epoch, so that no update came before
        rows = self._of_all_processes()
        if not len(rows.seen):
            raise PruneKitError(
                f"nothing was recorded in epoch {number}.",
                hint="call update(ids, logits, labels) after each batch",
            )
        provenance = {**self._config, "seed": self._seed, "epoch": int(number)}
        path = None if self._run is None else self._run.part_path(int(number))
        record = record_of(int(number), rows, self._ids, provenance, path)
        on_rank_0(self._peers, lambda: self._write(record))
        if self._peers.rank == 0:
            self._warn(record)
        self._last = record.epoch
        self.discard_epoch()
        return record

    def discard_epoch(self) -> None:
        """Forget what was recorded since the last `end_epoch`, as if the epoch had not begun."""
        self._pending = Pending()
        self._rows = EpochRows(len(self._ids))
        self._step = 0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold to go on: the epoch, and the rows of one that has begun.

        Returns
        -------
        dict
            Numbers, strings, lists and NumPy arrays. Of this process alone: others have their own rows.
        """
        self._score_pending()
        return {**self._identity(), "last": self._last, "step": self._step, "rows": self._rows.rows()}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Go on from a checkpoint.

        Parts of this seed that the run holds of later epochs are discarded at the first update: the
        training that goes on makes them again.

        Raises
        ------
        PruneKitError
            If the state is of another recorder: other examples, scores, seed or kind of pass.
        """
        own = self._identity()
        differs = [name for name, value in own.items() if state.get(name) != value]
        if differs:
            raise PruneKitError(
                "the state is of another recorder; what differs: "
                + "; ".join(f"{name} was {state.get(name)}, is now {own[name]}" for name in differs)
                + ".",
                hint="make the recorder with the arguments that it had when the state was saved",
            )
        self.discard_epoch()
        self._last, self._step = state["last"], state["step"]
        rows = {name: to_numpy(column) for name, column in state["rows"].items()}
        if len(rows[POSITION]):
            self._rows.add(rows)
        self._goes_on()

    def __getstate__(self) -> dict[str, Any]:
        self._score_pending()  # nothing that lies on a device goes into a pickle
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._goes_on()

    def _goes_on(self) -> None:
        # A state from before the first batch says nothing about the parts that a run holds: they stay safe.
        if self._last is not None or len(self._rows.seen):
            self._keep_until = -1 if self._last is None else self._last
        self._is_open = False

    def _identity(self) -> dict[str, Any]:
        return {
            "examples": fingerprint(self._ids),
            "scores": list(self._scores),
            "seed": self._seed,
            "taken": self._taken,
        }

    def _score_pending(self) -> None:
        waiting = self._pending.take()
        if waiting is None:
            return
        positions = self._index.positions(waiting.ids, where="the recorder")
        try:
            columns = score_columns(waiting.logits, waiting.labels, scores=self._scores)
        except PruneKitError as error:
            raise PruneKitError(self._about_a_row(waiting) or str(error)) from error
        rows = {name: to_numpy(column) for name, column in columns.items()}
        rows[LABEL] = to_numpy(waiting.labels)
        rows |= {POSITION: positions, STEP: waiting.steps, TIMES: np.ones(len(positions), np.int32)}
        self._rows.add(rows)

    def _about_a_row(self, waiting: Waiting) -> str | None:
        """What is wrong with the first row that cannot be scored by itself, by the id of its example."""
        for row, name in enumerate(waiting.ids.tolist()):
            alone = slice(row, row + 1)
            try:
                score_columns(waiting.logits[alone, ...], waiting.labels[alone, ...], scores=self._scores)
            except PruneKitError as error:
                return f"epoch {self.epoch + 1}, example {name!r}: {error}".replace(" in row 0", "")
        return None

    def _of_all_processes(self) -> EpochRows:
        if self._peers.size > 1:
            return merged(len(self._ids), everyones(self._peers, self._own_rows))
        self._score_pending()
        return self._rows

    def _own_rows(self) -> dict[str, NumpyArray]:
        self._score_pending()
        return self._rows.rows()

    def _warn(self, record: EpochRecord) -> None:
        # Samplers that share the data out among processes fill the last batches with examples once more.
        padding = self._largest_batch * self._peers.size if self._peers.size > 1 else 0
        for kind, message in record.complaints(len(self._ids), padding):
            if kind not in self._warned:
                self._warned.add(kind)
                warnings.warn(message, UserWarning, stacklevel=3)

    def _write(self, record: EpochRecord) -> None:
        if self._run is not None:
            self._run.write(record.epoch, record.table)

    def _begin(self) -> None:
        """Before the first update: make the run directory, or see that it may be written to."""
        if not self._is_open and self._run is not None and self._peers.rank == 0:
            self._run.begin(keep_until=self._keep_until)
        self._is_open = True


def _example_ids(examples: object) -> NumpyArray:
    if isinstance(examples, Integral) and is_whole_number(examples, at_least=1):
        return np.arange(int(examples))
    if isinstance(examples, Integral):
        raise PruneKitError(
            f"`examples` must be how many there are, 1 or more, or their ids; got {examples!r}.",
            hint="len(dataset)",
        )
    ids = check_ids(examples, name="examples")
    if not len(ids):
        raise PruneKitError("`examples` must hold at least one id; got none.")
    return ids
