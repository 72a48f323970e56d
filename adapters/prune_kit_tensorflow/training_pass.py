"""The training pass of `model.fit` as it happens: whose batch it is, and what its loss is computed of."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import tensorflow as tf

from prune_kit.errors import PruneKitError
from prune_kit.replaced import Method, replaced

from .fit_data import taken_apart
from .replicas import of_all_replicas
from .step_logits import StepLogits

_LOGS, _ROWS = "logs", "rows"


class TrainingPass:
    """Tells `seen` the ids, logits and labels of every batch that a Keras model is fitted to.

    What Keras documents for overriding, and users do override, is wrapped on the instance while it trains.
    `train_step`: the ids leave the batch before anything looks at it; rows are given beside the logs, out of
    the compiled step, so that XLA and distribution strategies see nothing but tensors. `compute_loss`: the
    outputs are those that the loss is computed from; outside of a training step it is let through as it is.
    `make_train_function`: the rows are taken out of what the function of the step gives. Several steps per
    execution are run one after the other, for Keras drops what all but the last one give. And where a
    strategy has Keras build the model from a first batch, this comes without ids.

    Parameters
    ----------
    model
        A compiled Keras model.
    seen
        ``seen(ids, logits, labels)``, eager tensors, after each training step.
    """

    def __init__(self, model: Any, seen: Callable[[Any, Any, Any], None]) -> None:
        self._model = model
        self._seen = seen
        self._logits = StepLogits(model)
        self._of_thread = (
            threading.local()
        )  # strategies trace the step of each replica in a thread of its own
        self._function: Method | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the model; it has its own methods again when the block ends, however it ends."""
        before = self._model.train_function
        with ExitStack() as stack:
            for name, wrapper in (
                ("train_step", self._train_step),
                ("compute_loss", self._compute_loss),
                ("make_train_function", self._make_train_function),
                ("_symbolic_build", self._symbolic_build),
            ):
                stack.enter_context(replaced(self._model, name, wrapper))
            try:
                yield
            finally:
                self._model.train_function = before
                self._function = None

    def _train_step(self, original: Method) -> Method:
        def train_step(data: Any) -> dict[str, Any]:
            ids, data, labels = taken_apart(data)
            if ids is None:  # of train_on_batch
                return {_LOGS: original(data)}
            if ids.dtype == tf.string and self._model.jit_compile:
                raise PruneKitError(
                    "ids must be integers in a step that XLA compiles; got strings.",
                    hint="give the model compile(..., jit_compile=False), or let positions travel: "
                    "with_ids(dataset)",
                )
            self._of_thread.loss_of = {}
            try:
                logs = original(data)
                loss_of = self._of_thread.loss_of
            finally:
                self._of_thread.loss_of = None
            if loss_of.get("y_pred") is None:
                raise PruneKitError(
                    "train_step must call compute_loss, whose y_pred is recorded; it did not.",
                    hint="call self.compute_loss(x, y, y_pred), or use a ScoreRecorder in a loop of your own",
                )
            logits = self._logits.of(loss_of["y_pred"])
            labels = loss_of.get("y") if labels is None else labels
            if not tf.is_tensor(labels):
                raise PruneKitError(
                    f"training batches must have one tensor of labels; got {type(labels).__name__}.",
                    hint="give fit x and y, or a data set of (x, y)",
                )
            rows = {"ids": ids, "logits": logits, "labels": labels}
            return {_LOGS: logs, _ROWS: of_all_replicas(rows)}

        return train_step

    def _compute_loss(self, original: Method) -> Method:
        signature = inspect.signature(original)

        def compute_loss(*args: Any, **kwargs: Any) -> Any:
            loss_of = getattr(self._of_thread, "loss_of", None)
            if loss_of is not None and not loss_of:  # the first of a step that computes several
                loss_of.update(signature.bind(*args, **kwargs).arguments)
            return original(*args, **kwargs)

        return compute_loss

    def _make_train_function(self, original: Method) -> Method:
        def make_train_function(force: bool = False) -> Any:
            if self._function is None or self._model.train_function is not self._function or force:
                original(force=True)
                self._function = self._model.train_function = self._recorded(self._model.train_function)
            return self._function

        return make_train_function

    def _recorded(self, function: Method) -> Method:
        def train_function(iterator: Any) -> Any:
            logs = None
            for each in _by_step(iterator, self._model.steps_per_execution):
                given = function(each)
                logs = given[_LOGS]
                self._tell(given.get(_ROWS))
            if logs is None:
                raise StopIteration
            return logs

        return train_function

    def _tell(self, rows: dict[str, Any] | None) -> None:
        if rows is None:
            return
        self._logits.check(rows["logits"])
        self._seen(rows["ids"], rows["logits"], rows["labels"])

    def _symbolic_build(self, original: Method) -> Method:
        def symbolic_build(iterator: Any = None, data_batch: Any = None) -> Any:
            return original(iterator=iterator, data_batch=taken_apart(data_batch)[1])

        return symbolic_build


def _by_step(iterator: Any, steps: int) -> Iterator[Any]:
    """What the function of a step takes, once for each of the steps of an execution.

    Where there is no batch left there is no step: in the graph of a step, random states change also if it
    fails for want of a batch.
    """
    if steps == 1 or not hasattr(iterator, "get_next_as_optional"):
        yield iterator
        return
    for _ in range(steps):
        batch = iterator.get_next_as_optional()
        if not batch.has_value():
            return
        yield iter([batch.get_value()])
