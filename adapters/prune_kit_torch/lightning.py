"""The callback for Lightning: importing this module is the opt-in to it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from prune_kit.arrays import NumpyArray
from prune_kit.epoch_record import EpochRecord
from prune_kit.errors import MissingExtraError, PruneKitError
from prune_kit.ids import check_ids

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError:
    try:  # the same by its older name, where that alone is installed
        from pytorch_lightning import Callback, LightningModule, Trainer  # type: ignore[assignment]
    except ImportError as error:
        raise MissingExtraError(
            f"Lightning cannot be imported: {error}.", hint='pip install "prune-kit[lightning]"'
        ) from error

from .batches import split_batch
from .lightning_pass import LightningPass
from .process_group import ProcessGroup
from .recorder import ScoreRecorder

__all__ = ["ScoreCallback"]


class ScoreCallback(Callback):
    """Records scores of every training example while Lightning trains; nothing else changes.

    Scores are of the training pass: of the logits that `training_step` computes for its loss, in train mode,
    each example under the weights of its own step. An id is the example's position in the data set of the
    training DataLoader, unless `examples` gives others. At the end of each epoch a part is written to the run
    directory; an epoch in which training stops early is left out. Validation is not recorded, and
    `fast_dev_run` records nothing.

    The logits are those that `training_step` returns under "logits", if it returns a dict with them; else
    the output of a module that it calls. In several processes each example is recorded once, however the
    sampler pads. Module, loader, data set and batches stay the user's own.

    Checkpoints hold the recorder's state, and ``fit(ckpt_path=...)`` goes on from it: later parts are made
    again. A checkpoint from within an epoch holds, of several processes, what process 0 has recorded of that
    epoch; what is missing in the end is told.

    Parameters
    ----------
    run
        The run directory to write to, made where it is not there; None to keep no more than `record`.
    seed
        Which seed of the run this training is.
    scores
        Names of scores, as for `ScoreRecorder`.
    module
        Name of the submodule whose output are the logits, such as "model.head", or "" for the
        LightningModule's own forward. By default it is found in the first step.
    labels
        Takes the labels out of a batch, ``labels(batch)``; by default they are found in pairs (inputs,
        labels) and in dicts.
    examples
        The examples' ids, shape (n,), integers or strings, in the order of the data set; such as the kept
        ids where training is on a subset. By default their positions.
    described
        What else to write into run.json, such as model and hyper-parameters; JSON values.
    overwrite
        Whether to discard what the run holds of this seed. A training that goes on from a checkpoint goes
        on instead.

    Attributes
    ----------
    record : EpochRecord or None
        What was recorded in the last completed epoch.

    Raises
    ------
    PruneKitError
        If an option is not as described; when training begins, if there is not one DataLoader of a data set
        with a length, or `run` holds this seed already; in the first step, if logits or labels are not
        found.

    Examples
    --------
    .. code-block:: python

        trainer = lightning.Trainer(max_epochs=10, callbacks=[ScoreCallback("RUN")])
        trainer.fit(model, loader)
    """

    def __init__(
        self,
        run: str | Path | None,
        /,
        *,
        seed: int = 0,
        scores: Sequence[str] = ("el2n", "logit_margin"),
        module: str | None = None,
        labels: Callable[[Any], Tensor] | None = None,
        examples: Sequence[Any] | Tensor | NumpyArray | None = None,
        described: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.record: EpochRecord | None = None
        self._names = None if examples is None else check_ids(examples, name="examples")
        self._make = functools.partial(
            ScoreRecorder, run, seed=seed, scores=scores, described=described, overwrite=overwrite
        )
        self._make(1)  # wrong options are told here, not when training begins
        self._module = module
        self._labels = labels or _labels_of
        self._pass: LightningPass | None = None  # while a training is recorded
        self._recorder: ScoreRecorder | None = None
        self._saved: dict[str, Any] | None = None
        self._examples = 0
        self._is_in_epoch = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin to watch the training."""
        if stage != "fit" or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        self._pass = LightningPass(
            trainer, pl_module, module=self._module, labels=self._labels, seen=self._update
        )
        self._saved = None
        if self._recorder is not None and trainer.current_epoch:
            self._recorder.discard_epoch()  # this Trainer goes on, and begins an epoch again that it left
        else:
            self._recorder = None

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave everything as it was."""
        if self._pass is not None:
            self._pass.close()
            self._pass, self._is_in_epoch = None, False

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave everything as it was, also when training fails."""
        self.teardown(trainer, pl_module, "fit")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the recorder, now that the data is known, and a checkpoint loaded."""
        if self._pass is None:
            return
        self._pass.begin()
        if self._recorder is not None:
            self._check_examples(self._pass)
            return
        self._examples = n = self._pass.examples()
        self._recorder = self._make(
            n if self._names is None else check_ids(self._names, n, name="examples").tolist()
        )
        if self._saved is not None:
            self._go_on(self._recorder, self._saved)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See that a loader that was made again is of the same data."""
        if self._pass is not None:
            self._check_examples(self._pass)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Expect the training step of the batch that the loop has taken."""
        if self._pass is not None:
            self._pass.expect_step()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write the epoch's part after its last batch: before its validation, which may save a checkpoint."""
        if self._is_in_epoch and trainer.is_last_batch:
            self._end_epoch(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave an epoch out in which training stopped."""
        if self._pass is None or not self._is_in_epoch:
            return
        if self._pass.is_skipping:
            self._end_epoch(trainer)
            return
        self._leave_out(
            trainer, f"training stopped inside epoch {trainer.current_epoch + 1}: no scores of it"
        )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold to go on; of several processes, that of the one that saves."""
        if self._recorder is None:
            return self._saved or {}
        return self._recorder.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint, as soon as there is a recorder."""
        self._saved = state_dict or None
        if self._recorder is not None and self._saved is not None:
            self._go_on(self._recorder, self._saved)

    @staticmethod
    def _go_on(recorder: ScoreRecorder, state: Mapping[str, Any]) -> None:
        recorder.load_state_dict(state)
        if ProcessGroup().rank:  # the rows of an epoch that has begun are those of process 0
            recorder.discard_epoch()

    def _check_examples(self, watched: LightningPass) -> None:
        if (n := watched.examples()) != self._examples:
            raise PruneKitError(
                f"the data set must be the same in all epochs: it had {self._examples} examples, now it "
                f"has {n}.",
                hint="record each data set into a run of its own",
            )

    def _update(self, positions: NumpyArray, logits: Tensor, labels: Tensor) -> None:
        assert self._recorder is not None
        self._recorder.update(positions if self._names is None else self._names[positions], logits, labels)
        self._is_in_epoch = True

    def _end_epoch(self, trainer: Trainer) -> None:
        assert self._recorder is not None
        number = trainer.current_epoch + 1
        if number <= self._recorder.epoch:  # from some checkpoints at an epoch's end, where max_steps is set
            self._leave_out(
                trainer, f"Lightning resumes inside epoch {number}, which was complete: no scores of this"
            )
            return
        self._is_in_epoch = False
        self.record = self._recorder.end_epoch(number)

    def _leave_out(self, trainer: Trainer, why: str) -> None:
        assert self._recorder is not None
        self._is_in_epoch = False
        self._recorder.discard_epoch()
        if trainer.is_global_zero:
            warnings.warn(f"{why} are written.", UserWarning, stacklevel=3)


def _labels_of(batch: Any) -> Tensor:
    return split_batch(batch).labels
