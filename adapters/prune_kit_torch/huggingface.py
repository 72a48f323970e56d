"""The callback for the Hugging Face Trainer: importing this module is the opt-in to transformers."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from prune_kit.epoch_record import EpochRecord
from prune_kit.errors import MissingExtraError, PruneKitError

try:
    from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
    from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint
except ImportError as error:
    raise MissingExtraError(
        f"the Hugging Face Trainer cannot be imported: {error}.", hint='pip install "prune-kit[huggingface]"'
    ) from error

from .recorder import ScoreRecorder
from .recorder_checkpoint import load_recorder, save_recorder
from .trainer_pass import TrainingPass

__all__ = ["ScoreCallback"]


class ScoreCallback(TrainerCallback):
    """Records scores of every training example while a Trainer trains; nothing else changes.

    Scores are of the training pass: of the logits that `compute_loss` computes anyway, in train mode, each
    example under the weights of its own step. An id is the example's position in `trainer.train_dataset`. At
    the end of each epoch a part is written to the run directory; an epoch in which training stops early is
    left out. Evaluation and prediction are not recorded. The training is the one without the callback, bit
    for bit.

    The ids survive `remove_unused_columns`, any data collator and subclasses that override `compute_loss` or
    `get_train_dataloader`. In several processes each example is recorded once, however the sampler pads.
    Checkpoints hold the recorder's state, and ``train(resume_from_checkpoint=...)`` goes on from it.

    Parameters
    ----------
    trainer
        The Trainer that the callback is added to.
    run
        The run directory to write to, made where it is not there; None to keep no more than `record`.
    seed
        Which seed of the run this training is; by default `trainer.args.seed`.
    scores
        Names of scores, as for `ScoreRecorder`.
    described
        What else to write into run.json, such as model and hyper-parameters; JSON values. Other trainings
        that record into the run must give the same.
    overwrite
        Whether to discard what the run holds of this seed. A training that goes on from a checkpoint goes on
        instead.

    Attributes
    ----------
    record : EpochRecord or None
        What was recorded in the last completed epoch.

    Raises
    ------
    PruneKitError
        If an option is not as described; while training, if the batches have no labels, the model gives no
        logits with one row per example, the data set streams, or `run` holds this seed already.

    Examples
    --------
    .. code-block:: python

        trainer = Trainer(model, args, train_dataset=data)
        trainer.add_callback(ScoreCallback(trainer, "RUN"))
        trainer.train()
    """

    def __init__(
        self,
        trainer: Trainer,
        run: str | Path | None,
        /,
        *,
        seed: int | None = None,
        scores: Sequence[str] = ("el2n", "logit_margin"),
        described: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        if not isinstance(trainer, Trainer):
            raise PruneKitError(
                f"`trainer` must be a transformers.Trainer; got {type(trainer).__name__}.",
                hint='trainer.add_callback(ScoreCallback(trainer, "RUN"))',
            )
        self.record: EpochRecord | None = None
        self._trainer: Any = trainer
        seed = trainer.args.seed if seed is None else seed
        self._make = functools.partial(ScoreRecorder, run, seed=seed, scores=scores, described=described)
        self._make(1)  # wrong options are told here, not when training begins
        self._overwrite = overwrite
        self._recorder: ScoreRecorder | None = None
        self._pass: TrainingPass | None = None
        self._checkpoint: Path | None = None
        # Callbacks hear of a training once its loader is made, and never of the checkpoint it goes on from.
        trainer.train = self._recorded(trainer.train)  # type: ignore[method-assign]

    def _recorded(self, train: Any) -> Any:
        @functools.wraps(train)
        def recorded(resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
            trainer = self._trainer
            if not any(callback is self for callback in trainer.callback_handler.callbacks):
                return train(resume_from_checkpoint, *args, **kwargs)
            checkpoint: Any = resume_from_checkpoint
            if checkpoint is True:
                checkpoint = get_last_checkpoint(trainer.args.output_dir)
            self._checkpoint = Path(checkpoint) if checkpoint else None
            self._recorder = None
            self._pass = TrainingPass(trainer, self._update)
            try:
                with self._pass.watched():
                    return train(resume_from_checkpoint, *args, **kwargs)
            finally:
                self._pass = None

        return recorded

    def _update(self, ids: Tensor, outputs: Any, labels: Any) -> None:
        assert self._recorder is not None
        self._recorder.update(ids, outputs, labels)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin to record, or go on from a checkpoint."""
        if self._pass is None:
            raise PruneKitError(
                "the ScoreCallback was made for another Trainer.",
                hint='trainer.add_callback(ScoreCallback(trainer, "RUN"))',
            )
        # auto_find_batch_size begins again with smaller batches: what there is then is of the failed attempt.
        overwrite = self._overwrite or self._recorder is not None
        self._recorder = self._make(self._pass.examples, overwrite=overwrite)
        if self._checkpoint is not None and state.global_step:
            self._go_on(self._recorder, self._checkpoint, args, state)

    def _go_on(
        self, recorder: ScoreRecorder, checkpoint: Path, args: TrainingArguments, state: TrainerState
    ) -> None:
        if load_recorder(recorder, checkpoint, rank=args.process_index, processes=args.world_size):
            if args.ignore_data_skip:  # the Trainer begins the epoch again
                recorder.discard_epoch()
            return
        epoch = state.epoch or 0.0
        recorder.load_state_dict({**recorder.state_dict(), "last": int(epoch) or None})
        lacking = ""
        if epoch > int(epoch) and not args.ignore_data_skip:
            lacking = f", and of that epoch the examples before step {state.global_step} are lacking"
        warnings.warn(
            f"{checkpoint} holds no state of a recorder in {args.world_size} processes: its training was not "
            f"recorded, or in other processes. What is recorded begins with epoch {int(epoch) + 1}{lacking}.",
            UserWarning,
            stacklevel=2,
        )

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write the epoch's part after its last step: before a checkpoint of that step is saved."""
        assert self._recorder is not None
        if state.epoch and state.epoch == int(state.epoch):
            self.record = self._recorder.end_epoch(int(state.epoch))

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leave an epoch out that was stopped before its last step."""
        assert self._recorder is not None
        if not self._recorder.seen_in_epoch:
            return
        self._recorder.discard_epoch()
        if state.is_world_process_zero:
            warnings.warn(
                f"training stopped inside epoch {int(state.epoch or 0) + 1}, at step {state.global_step}: "
                "no scores are written of this epoch.",
                UserWarning,
                stacklevel=2,
            )

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write the recorder's state into the checkpoint, unless that holds the model alone."""
        assert self._recorder is not None
        if not args.save_only_model:
            folder = Path(self._trainer.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
            save_recorder(self._recorder, folder, rank=args.process_index, processes=args.world_size)
