"""The callback for `model.fit`: an evaluation pass after epochs, or the training pass as it happens."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from prune_kit.arrays import NumpyArray
from prune_kit.checks import is_whole_number
from prune_kit.epoch_record import EpochRecord
from prune_kit.errors import PruneKitError
from prune_kit.ids import check_ids
from prune_kit.recorder import Pass
from prune_kit.replaced import Method

from .evaluation_pass import EvaluationPass
from .example_ids import as_ids
from .fit_data import FitData, with_ids_in_batches
from .recorder import ScoreRecorder
from .training_pass import TrainingPass

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class ScoringCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Records scores of every example while `model.fit` trains; the training stays what it is.

    Keras' callbacks see no outputs of the model. With ``taken="evaluation"`` the callback scores `data` in
    inference mode after each epoch, or after those of `at_epochs`: one pass more over the data for each. With
    ``taken="training"`` it records the logits that `train_step` hands to `compute_loss`, in training mode,
    each example under the weights of its own step; nothing is computed twice. Of a model that ends in a
    softmax the logits are what goes into it.

    An epoch in which training stops early is left out, validation is not recorded. ``fit(initial_epoch=n)``,
    also as BackupAndRestore sets it, goes on in the run directory with epoch n + 1, and makes later parts
    again; another `fit` of the same model goes on counting.

    Parameters
    ----------
    run
        The run directory to write to, made where it is not there; None to keep no more than `record`.
    data
        What to score by evaluation, as for `predict`; without augmentation.
    taken
        "evaluation" or "training".
    model
        The model whose training pass is recorded. Its `fit` puts ids into the data where this callback is
        among its callbacks: arrays and a PyDataset need no change, ids are positions; a tf.data.Dataset must
        give ``(ids, element)``, as after `with_ids`.
    seed
        Which seed of the run this training is.
    scores
        Names of scores, as for `ScoreRecorder`.
    at_epochs
        After which epochs to evaluate, 0 before the first; by default after each.
    batch_size
        Of the evaluation, as for `predict`.
    examples
        Of the training pass: the examples' ids, shape (n,), integers or strings, in the order of the data,
        such as the kept ids where training is on a subset. By default positions, of which a tf.data.Dataset
        must be told the number: ``examples=n``.
    described
        What else to write into run.json, such as model and hyper-parameters; JSON values.
    overwrite
        Whether to discard what the run holds of this seed. A training that goes on from an epoch goes on
        instead.

    Attributes
    ----------
    record : EpochRecord or None
        What was recorded in the last epoch.

    Raises
    ------
    PruneKitError
        If an option is not as described; when training begins, if the data cannot tell whose examples a batch
        holds, or `run` holds this seed already; in the first step, if the model has several outputs, or
        `train_step` does not call `compute_loss`.

    Examples
    --------
    >>> import keras, numpy as np
    >>> x, y = np.eye(4, dtype="float32"), np.array([0, 1, 0, 1])
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> callback = ScoringCallback(None, (x, y))
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[callback])
    >>> callback.record.epoch, list(callback.record.table)
    (2, ['predicted', 'p_label', 'el2n', 'logit_margin'])
    """

    def __init__(
        self,
        run: str | Path | None,
        data: Any = None,
        /,
        *,
        taken: Pass = "evaluation",
        model: keras.Model | None = None,
        seed: int = 0,
        scores: Sequence[str] = ("el2n", "logit_margin"),
        at_epochs: Collection[int] | None = None,
        batch_size: int | None = None,
        examples: int | Sequence[Any] | NumpyArray | tf.Tensor | None = None,
        described: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        super().__init__()
        self.record: EpochRecord | None = None
        self._make = functools.partial(
            ScoreRecorder,
            run,
            seed=seed,
            scores=scores,
            taken=taken,
            described=described,
            overwrite=overwrite,
        )
        self._make(1)  # wrong options are told here, not when training begins
        _check_options(taken, data, model, at_epochs, examples)
        self._at_epochs = at_epochs
        self._evaluation = EvaluationPass(data, batch_size) if taken == "evaluation" else None
        self._given_examples = examples
        self._examples: Any = None  # how many, or their ids, as the recorder is made with
        self._names: NumpyArray | None = None  # ids of positions
        self._recorder: ScoreRecorder | None = None
        self._recorded_model: Any = None
        self._first: int | None = None  # completed epochs when this fit began
        self._before = 0  # epochs of fits before, which this one does not count
        self._completed = 0
        self._steps = 0
        self._watched: Any = None
        if model is not None:
            self._watched = model
            model.fit = functools.wraps(model.fit)(self._recorded_fit(model.fit))

    def _recorded_fit(self, fit: Method) -> Method:
        signature = inspect.signature(fit)
        if any(each.kind in _VARIADIC for each in signature.parameters.values()):
            signature = inspect.signature(functools.partial(keras.Model.fit, self._watched))  # it passes on

        def recorded_fit(*args: Any, **kwargs: Any) -> Any:
            arguments = signature.bind(*args, **kwargs).arguments
            model = self._watched
            if not self._is_among(arguments.get("callbacks")) or not model.compiled:
                return fit(*args, **kwargs)
            _check_strategy(model.distribute_strategy)
            names = tuple(each.name for each in getattr(model, "inputs", None) or ())
            self._know_examples(data := with_ids_in_batches(arguments, names))
            with TrainingPass(model, self._update).watched():
                return fit(**data.arguments)

        return recorded_fit

    def _is_among(self, callbacks: Any) -> bool:
        callbacks = getattr(callbacks, "callbacks", callbacks)
        return any(each is self for each in tf.nest.flatten(callbacks))

    def _know_examples(self, data: FitData) -> None:
        examples = data.examples
        given = data.names if self._given_examples is None else self._given_examples
        self._names = None
        if given is None and examples is None:
            raise PruneKitError(
                "`examples` must be given with data whose ids travel along: the data does not tell how many "
                "there are.",
                hint='ScoringCallback("RUN", taken="training", model=model, examples=n), or their ids',
            )
        if given is None:
            given = examples
        elif examples is not None and not is_whole_number(given, at_least=0):
            self._names = check_ids(as_ids(given), examples, name="examples")
        elif examples is not None and given != examples:
            raise PruneKitError(f"`examples` is {given}, and the data has {examples} examples.")
        given = given if is_whole_number(given, at_least=0) else as_ids(given).tolist()
        if self._recorder is not None and given != self._examples:
            raise PruneKitError(
                "the data set must be the same in all epochs; another `fit` was given other examples.",
                hint="record each data set into a run of its own",
            )
        self._examples = given

    def on_train_begin(self, logs: Any = None) -> None:
        """See that this is the model to record."""
        self._first = None
        if self._evaluation is not None:
            _check_strategy(self.model.distribute_strategy)
            self._evaluation.begin(self.model)
            self._examples = self._evaluation.ids()
        elif self.model is not self._watched:
            raise PruneKitError(
                "the ScoringCallback was made for another model.",
                hint='ScoringCallback("RUN", taken="training", model=model)',
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin to record, or go on from the epoch at which `fit` begins."""
        if self._first is None:
            self._begin(epoch)
        assert self._recorder is not None
        self._recorder.discard_epoch()  # of an epoch that was left by an exception
        self._steps = 0

    def _begin(self, epoch: int) -> None:
        is_known = self._recorder is not None and self._recorded_model is self.model
        self._before = self._completed if is_known and epoch == 0 else 0
        self._first = completed = self._before + epoch
        if not is_known:
            self._recorder, self._recorded_model = self._make(self._examples), self.model
        assert self._recorder is not None
        if completed and (not is_known or completed < self._completed):
            self._recorder.load_state_dict({**self._recorder.state_dict(), "last": completed})
        self._completed = completed
        self._recorder.begin()
        if completed == 0 and self._at_epochs is not None and 0 in self._at_epochs:
            self._evaluate(0)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count the steps of an epoch."""
        self._steps = batch + 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the epoch's part, unless training stopped inside of it."""
        assert self._recorder is not None
        self._completed = number = self._before + epoch + 1
        if self._has_stopped_inside():
            self._recorder.discard_epoch()
            warnings.warn(
                f"training stopped inside epoch {number}: no scores of it are written.",
                UserWarning,
                stacklevel=2,
            )
        elif self._evaluation is None:
            self.record = self._recorder.end_epoch(number)
        elif self._at_epochs is None or number in self._at_epochs:
            self._evaluate(number)

    def _has_stopped_inside(self) -> bool:
        if not self.model.stop_training:  # which callbacks set at the end of an epoch too
            return False
        steps = self.params.get("steps")
        if steps is not None:
            return self._steps < int(steps)
        assert self._recorder is not None
        return self._evaluation is None and self._recorder.seen_in_epoch < len(np.atleast_1d(self._all()))

    def _all(self) -> Any:
        return np.arange(self._examples) if isinstance(self._examples, int) else self._examples

    def _evaluate(self, number: int) -> None:
        assert self._evaluation is not None
        assert self._recorder is not None
        for ids, logits, labels in self._evaluation.batches():
            self._recorder.update(ids, logits, labels)
        self.record = self._recorder.end_epoch(number)

    def _update(self, ids: Any, logits: Any, labels: Any) -> None:
        assert self._recorder is not None
        self._recorder.update(ids if self._names is None else self._names[np.asarray(ids)], logits, labels)


def _check_options(taken: str, data: Any, model: Any, at_epochs: Any, examples: Any) -> None:
    if taken == "evaluation":
        wrong = data is None or model is not None or examples is not None
        expected = "`data`, and neither `model` nor `examples`"
        hint = 'ScoringCallback("RUN", (inputs, labels))'
    else:
        wrong = data is not None or model is None or at_epochs is not None
        expected = "`model`, and neither `data` nor `at_epochs`"
        hint = 'ScoringCallback("RUN", taken="training", model=model)'
    if wrong:
        raise PruneKitError(f"taken={taken!r} goes with {expected}.", hint=hint)
    if model is not None and not isinstance(model, keras.Model):
        raise PruneKitError(f"`model` must be a keras.Model; got {type(model).__name__}.", hint=hint)
    if at_epochs is not None and not all(is_whole_number(each, at_least=0) for each in at_epochs):
        raise PruneKitError(f"`at_epochs` must be whole numbers from 0 (initialisation); got {at_epochs!r}.")


def _check_strategy(strategy: tf.distribute.Strategy) -> None:
    is_one_process = type(strategy) in (
        type(tf.distribute.get_strategy()),
        tf.distribute.OneDeviceStrategy,
        tf.distribute.MirroredStrategy,
    )
    if not is_one_process:
        raise PruneKitError(
            f"the callback records in one process, with one device or a MirroredStrategy; got "
            f"{type(strategy).__name__}.",
            hint="in several workers, use a ScoreRecorder in a loop of your own",
        )
