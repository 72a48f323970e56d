"""The training pass of a Hugging Face Trainer as it happens: whose batch it is, and what the model says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from prune_kit.batch_parts import LABEL_KEYS
from prune_kit.errors import PruneKitError
from prune_kit.replaced import Method, replaced

from .identified_loader import with_ids

_IDS = "prune_kit_ids"  # no column is called so: the columns of the user's stay what they are


class TrainingPass:
    """Tells `seen` the ids, outputs and labels of every batch that a Trainer trains on.

    Three methods that the Trainer documents for overriding, and users do override, are wrapped on the
    instance while it trains. `get_train_dataloader`: the ids are put beside the batches where the loader is
    handed to Accelerate, when unused columns are gone and before processes share the batches out.
    `training_step`: the ids leave the batch before anything looks at it. `compute_loss`: the outputs are
    those that the loss is computed from. Evaluation calls `compute_loss` outside any training step, and is
    let through as it is.

    Parameters
    ----------
    trainer
        A `transformers.Trainer`, of any subclass.
    seen
        ``seen(ids, outputs, labels)``, called after each forward pass of a training step.
    """

    def __init__(self, trainer: Any, seen: Callable[[Tensor, Any, Any], None]) -> None:
        self.examples = 0
        """How many examples the training loader has; 0 before it is made."""
        self._trainer = trainer
        self._seen = seen
        self._ids: Tensor | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the Trainer; it has its own methods again when the block ends, however it ends."""
        with ExitStack() as stack:
            for name, wrapper in (
                ("get_train_dataloader", self._get_train_dataloader),
                ("training_step", self._training_step),
                ("compute_loss", self._compute_loss),
            ):
                stack.enter_context(replaced(self._trainer, name, wrapper))
            yield

    def _get_train_dataloader(self, original: Method) -> Method:
        def get_train_dataloader(*args: Any, **kwargs: Any) -> Any:
            self.examples = 0
            with replaced(self._trainer.accelerator, "prepare_data_loader", self._prepare_data_loader):
                loader = original(*args, **kwargs)
            return loader if self.examples else self._identified(loader)

        return get_train_dataloader

    def _prepare_data_loader(self, original: Method) -> Method:
        def prepare_data_loader(data_loader: Any, *args: Any, **kwargs: Any) -> Any:
            return original(self._identified(data_loader), *args, **kwargs)

        return prepare_data_loader

    def _identified(self, loader: Any) -> DataLoader[Any]:
        if self.examples:
            raise PruneKitError(
                "get_train_dataloader must make one loader, for an id is a position in one data set; "
                "it makes several.",
                hint="join the data sets: torch.utils.data.ConcatDataset, datasets.concatenate_datasets",
            )
        if not isinstance(loader, DataLoader):
            raise PruneKitError(
                f"get_train_dataloader must give a torch.utils.data.DataLoader; got {type(loader).__name__}."
            )
        identified = with_ids(loader)
        identified.collate_fn = _IdsInBatch(identified.collate_fn)
        self.examples = len(identified.dataset)  # type: ignore[arg-type]
        return identified

    def _training_step(self, original: Method) -> Method:
        def training_step(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            self._ids = inputs.pop(_IDS, None)
            if self._ids is None:
                raise PruneKitError(
                    f"a batch must come to training_step with its entry {_IDS!r}, the ids; it has "
                    f"{', '.join(map(str, inputs))}.",
                    hint="what makes new batches out of those of the loader must keep this entry",
                )
            loss = original(model, inputs, *args, **kwargs)
            if self._ids is not None:
                raise PruneKitError(
                    "training_step must call compute_loss, whose outputs are recorded; it did not.",
                    hint="override compute_loss, or use a prune_kit_torch.ScoreRecorder in the step itself",
                )
            return loss

        return training_step

    def _compute_loss(self, original: Method) -> Method:
        def compute_loss(*args: Any, **kwargs: Any) -> Any:
            if self._ids is None:
                return original(*args, **kwargs)
            return self._trained(original, *args, **kwargs)

        return compute_loss

    def _trained(
        self,
        compute_loss: Method,
        model: Any,
        inputs: Mapping[str, Any],
        return_outputs: bool = False,
        **kwargs: Any,
    ) -> Any:
        ids, self._ids = self._ids, None
        assert ids is not None
        labels = _labels(inputs, self._trainer.label_names)  # first: a loss may take them out of the batch
        result = compute_loss(model, inputs, return_outputs=True, **kwargs)
        if not isinstance(result, tuple) or len(result) != 2:
            raise PruneKitError(
                "compute_loss must give (loss, outputs) when return_outputs=True; "
                f"got {type(result).__name__}.",
                hint="evaluation needs the outputs as well",
            )
        self._seen(ids, _without_loss(result[1]), labels)
        return result if return_outputs else result[0]


class _IdsInBatch:
    """Puts the ids that `with_ids` gives beside a batch into it: a Trainer's batches are dicts."""

    def __init__(self, collate: Callable[[Any], tuple[Tensor, Any]]) -> None:
        self._collate = collate

    def __call__(self, numbered: Any) -> Any:
        ids, batch = self._collate(numbered)
        if not isinstance(batch, Mapping):
            raise PruneKitError(f"the data collator must give a dict of tensors; got {type(batch).__name__}.")
        batch[_IDS] = ids  # type: ignore[index]
        return batch


def _labels(inputs: Mapping[str, Any], label_names: list[str]) -> Any:
    names = list(dict.fromkeys((*label_names, *LABEL_KEYS)))
    for name in names:
        if name in inputs:
            return inputs[name]
    raise PruneKitError(
        f"training batches must have labels under one of {', '.join(names)}; "
        f"they have {', '.join(map(str, inputs))}.",
        hint="give TrainingArguments label_names=[...]",
    )


def _without_loss(outputs: Any) -> Any:
    """The outputs without the loss, which a model with return_dict=False puts before its logits."""
    if isinstance(outputs, tuple) and outputs and isinstance(outputs[0], Tensor) and outputs[0].ndim < 2:
        return outputs[1:]
    return outputs
