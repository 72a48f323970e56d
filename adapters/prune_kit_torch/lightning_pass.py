"""The training pass of a Lightning Trainer as it happens: whose batch it is, what the model says of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from torch import Tensor

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError
from prune_kit.replaced import Method, replaced

from .overheard_loader import OverheardLoader
from .step_logits import StepLogits


class LightningPass:
    """Tells `seen` the positions, logits and labels of every batch that a Trainer trains on.

    Three methods of what the Trainer consists of are wrapped, on these instances and until `close`.
    `Strategy.process_dataloader`: where strategies may wrap a loader, once it has the sampler of this
    process. `Precision.convert_input`: what first touches a batch that the training loop has taken out of
    the loader; the batch is known again by being the same object, so that batches which others take, or
    which are fetched ahead, change nothing. `Strategy.training_step`: around the user's. The user's own
    module, loader, data set and batches are not touched.

    Parameters
    ----------
    trainer, pl_module
        The Trainer and the LightningModule.
    module
        The name of the submodule whose output are the logits, as for `StepLogits`.
    labels
        Takes the labels out of a batch.
    seen
        ``seen(positions, logits, labels)`` after the first forward pass of each batch.

    Raises
    ------
    PruneKitError
        If the training step takes an iterator instead of batches.
    """

    def __init__(
        self,
        trainer: Any,
        pl_module: Any,
        *,
        module: str | None,
        labels: Callable[[Any], Tensor],
        seen: Callable[[NumpyArray, Tensor, Tensor], None],
    ) -> None:
        if "dataloader_iter" in inspect.signature(pl_module.training_step).parameters:
            raise PruneKitError(
                "`training_step` must take a batch; it takes dataloader_iter, whose batches are its own.",
                hint="use a ScoreRecorder in the step itself",
            )
        self._trainer = trainer
        self._pl_module = pl_module
        self._module = module
        self._labels = labels
        self._seen = seen
        self._loader: OverheardLoader | None = None
        self._logits: StepLogits | None = None
        self._fetched: NumpyArray | None = None  # positions in the batch that the loop has taken
        self._in_step: NumpyArray | None = None  # positions in the batch whose training step comes
        self._replaced = ExitStack()
        for owner, name, wrapper in (
            (trainer.strategy, "process_dataloader", self._process_dataloader),
            (trainer.precision_plugin, "convert_input", self._convert_input),
            (trainer.strategy, "training_step", self._training_step),
        ):
            self._replaced.enter_context(replaced(owner, name, wrapper))

    def close(self) -> None:
        """Leave everything as it was."""
        self._replaced.close()
        if self._loader is not None:
            self._loader.close()

    def begin(self) -> None:
        """Find the submodule: modules can be made until training begins.

        Raises
        ------
        PruneKitError
            If there is none of that name.
        """
        self._logits = StepLogits(self._pl_module, self._module)

    def examples(self) -> int:
        """How many examples there are in the data set that is trained on.

        Raises
        ------
        PruneKitError
            If there is not one training DataLoader, or it was made before this pass.
        """
        given = self._trainer.train_dataloader
        if self._loader is None or given is not self._loader:
            raise PruneKitError(
                "there must be one training DataLoader, by itself: an id is a position in one data set; "
                f"got {type(given).__name__}.",
                hint="DataModule.setup comes before the callback's, and must not make the loader already, as "
                "trainer.estimated_stepping_batches does"
                if self._loader is None
                else "join data sets with torch.utils.data.ConcatDataset",
            )
        return len(self._loader.dataset)  # type: ignore[arg-type]

    def expect_step(self) -> None:
        """The batch that the loop has taken is the one whose training step comes.

        Raises
        ------
        PruneKitError
            If the batch is not out of the training DataLoader.
        """
        self._in_step, self._fetched = self._fetched, None
        if self._in_step is None:
            raise PruneKitError(
                "Lightning's training loop took a batch that did not come out of its DataLoader.",
                hint="use a ScoreRecorder in training_step itself",
            )

    @property
    def is_skipping(self) -> bool:
        """Whether a hook of the user's skips the rest of the epoch: the expected step did not come."""
        return self._in_step is not None

    def _process_dataloader(self, original: Method) -> Method:
        def process_dataloader(dataloader: Any) -> Any:
            if self._trainer.training:  # else of validation
                dataloader = self._loader = OverheardLoader(dataloader)
            return original(dataloader)

        return process_dataloader

    def _convert_input(self, original: Method) -> Method:
        def convert_input(data: Any) -> Any:
            if self._trainer.training and self._loader is not None:
                self._fetched = self._loader.positions_of(data)
            return original(data)

        return convert_input

    def _training_step(self, original: Method) -> Method:
        def training_step(batch: Any, *args: Any, **kwargs: Any) -> Any:
            # An optimizer that evaluates its closure several times runs the step again for the same batch; a
            # search for a learning rate runs it without callbacks.
            positions, self._in_step = self._in_step, None
            if positions is None:
                return original(batch, *args, **kwargs)
            assert self._logits is not None
            labels = self._labels(batch)
            if len(labels) != len(positions):
                raise PruneKitError(
                    f"a batch of {len(positions)} examples came to training_step with {len(labels)} labels.",
                    hint="collate functions and transfer hooks must keep one row per example",
                )
            result, logits = self._logits.run(lambda: original(batch, *args, **kwargs), len(labels))
            self._seen(positions, logits, labels)
            return result

        return training_step
