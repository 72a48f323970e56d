"""The callback for Lightning: importing this module is the opt-in to it."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from prune_kit.epoch_record import EpochRecord
from prune_kit.errors import MissingExtraError, PruneKitError

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as error:
    raise MissingExtraError(
        f"Lightning cannot be imported: {error}.", hint='pip install "prune-kit[lightning]"'
    ) from error

from .batches import split_batch
from .identified_loader import identified
from .recorder import ScoreRecorder
from .replaced import replaced
from .step_logits import StepLogits

__all__ = ["ScoreCallback"]


class ScoreCallback(Callback):
    """Records scores of every training example while Lightning trains; nothing else changes.

    Scores are of the training pass: of the logits that `training_step` computes for its loss, in train mode,
    each example under the weights of its own step. An id is the example's position in the data set of the
    training DataLoader. At the end of each epoch a part is written to the run directory; an epoch in which
    training stops early is left out. Validation is not recorded, and `fast_dev_run` records nothing.

    The logits are those that `training_step` returns under "logits", if it returns a dict with them; else
    the output of a module that it calls. In several processes each example is recorded once, however the
    sampler pads. Checkpoints hold the recorder's state, and ``fit(ckpt_path=...)`` goes on from it.

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
        described: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.record: EpochRecord | None = None
        self._make = functools.partial(
            ScoreRecorder, run, seed=seed, scores=scores, described=described, overwrite=overwrite
        )
        self._make(1)  # wrong options are told here, not when training begins
        self._module = module
        self._labels = labels or _labels_of
        self._saved: dict[str, Any] | None = None
        self._recorder: ScoreRecorder | None = None
        self._loader: _IdsAside | None = None
        self._logits: StepLogits | None = None
        self._replaced: ExitStack | None = None
        self._ids: Tensor | None = None
        self._batches = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Put the ids beside the training batches, and look into the training step."""
        if stage != "fit" or _is_trial(trainer):
            return
        if "dataloader_iter" in inspect.signature(pl_module.training_step).parameters:
            raise PruneKitError(
                "`training_step` must take a batch; it takes dataloader_iter, whose batches are its own.",
                hint="use a ScoreRecorder in the step itself",
            )
        self._recorder, self._loader, self._ids = None, None, None
        self._logits = StepLogits(pl_module, self._module)
        self._replaced = ExitStack()
        # This is where strategies may wrap loaders, once the sampler is the one of this process.
        for owner, name, wrapper in (
            (trainer.strategy, "process_dataloader", functools.partial(self._process_dataloader, trainer)),
            (pl_module, "training_step", self._training_step),
        ):
            self._replaced.enter_context(replaced(owner, name, wrapper))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave everything as it was."""
        if self._replaced is not None:
            self._replaced.close()
            self._replaced = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave everything as it was, also when training fails."""
        self.teardown(trainer, pl_module, "fit")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See that there is one training DataLoader."""
        if self._recorder is not None and trainer.train_dataloader is not self._loader:
            raise PruneKitError(
                "there must be one training DataLoader: an id is a position in one data set; got several.",
                hint="join the data sets with torch.utils.data.ConcatDataset",
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End an epoch that a checkpoint was saved at the end of, before its part was written."""
        if self._recorder is not None and self._recorder.seen_in_epoch:
            self.record = self._recorder.end_epoch(trainer.current_epoch)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Take the ids of the batch that comes next."""
        if self._loader is not None:
            self._ids = self._loader.waiting.popleft()
            self._batches = batch_idx + 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the epoch's part, unless training stopped inside the epoch."""
        if self._recorder is None:
            return
        if self._batches >= trainer.num_training_batches:
            self.record = self._recorder.end_epoch(trainer.current_epoch + 1)
            return
        self._recorder.discard_epoch()
        if trainer.is_global_zero:
            warnings.warn(
                f"training stopped inside epoch {trainer.current_epoch + 1}, after {self._batches} of "
                f"{trainer.num_training_batches} batches: no scores are written of this epoch.",
                UserWarning,
                stacklevel=2,
            )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold to go on; of several processes, that of the one that saves."""
        if self._recorder is None:
            return self._saved or {}
        return self._recorder.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint, once the recorder is made with the training DataLoader."""
        self._saved = state_dict or None

    def _process_dataloader(self, trainer: Trainer, original: Callable[..., Any]) -> Callable[..., Any]:
        def process_dataloader(dataloader: Any) -> Any:
            if not trainer.training:  # of validation
                return original(dataloader)
            loader = identified(dataloader, _IdsAside)
            if self._recorder is None:
                self._recorder = self._make(len(dataloader.dataset))
                if self._saved is not None:
                    self._recorder.load_state_dict(self._saved)
            self._loader = loader
            return original(loader)

        return process_dataloader

    def _training_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def training_step(batch: Any, *args: Any, **kwargs: Any) -> Any:
            # An optimizer that evaluates its closure several times runs the step again for the same batch.
            ids, self._ids = self._ids, None
            if ids is None:
                return original(batch, *args, **kwargs)
            assert self._recorder is not None
            assert self._logits is not None
            labels = self._labels(batch)
            if len(labels) != len(ids):
                raise PruneKitError(
                    f"a batch of {len(ids)} examples came to training_step with {len(labels)} labels.",
                    hint="collate functions and transfer hooks must keep one row per example",
                )
            result, logits = self._logits.run(lambda: original(batch, *args, **kwargs), len(labels))
            self._recorder.update(ids, logits, labels)
            return result

        return training_step


class _IdsAside(DataLoader[Any]):
    """A loader of identified batches that gives the batches alone; the ids wait for the training step.

    Batches reach hooks, transfers and the step as the user's loader makes them, in the order in which they
    leave the loader, however many are fetched ahead.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting: deque[Tensor] = deque()

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self.waiting.clear()
        for ids, batch in super().__iter__():
            self.waiting.append(ids)
            yield batch


def _labels_of(batch: Any) -> Tensor:
    return split_batch(batch).labels


def _is_trial(trainer: Trainer) -> bool:
    """Whether `fast_dev_run` asks for a few batches that leave nothing behind."""
    return bool(getattr(trainer, "fast_dev_run", False))
