"""The engine that learns a model once and then measures batches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from prune_kit.errors import PruneKitError

from ..batches import Inputs
from ..softmax import warn_of_probabilities
from .guard import left_as_it_was
from .inputs import as_tensors, check_batch, check_finite, check_rows, examples, finite_rows
from .layout import Unsupported
from .logits import Logits
from .losses import Loss, check_classes, cross_entropy, loss_gradients
from .measure import Measured, measurement
from .plan import Plan, PlanChanged
from .probe import EXAMPLES, probe, probe_size
from .variables import module_of, others, trainable
from .verify import agree, check_independent, same, sample
from .whole import OneByOne

PerLayer = bool | Literal["parameter", "module"]


class GradientNorms:
    """Exact gradient norms of examples, batch after batch, for one model.

    What has to be found out about a model (where its variables are used, where the batch lies, whether the
    result is right) is found out with the first batch; each shape of batch is traced once. Weights may change
    between calls; the model's code may not.

    Parameters
    ----------
    model
        A Keras model, a `tf.Module` or a function that gives logits, examples first; of one that ends in a
        softmax they are what goes into it. It is called in inference mode (`training=False` where it takes
        that) and left as it was.
    loss
        `loss(logits, labels) -> (b,)`: each example's own loss. Never a mean: that scales with the batch.
        Cross-entropy by default.
    verify
        Compare three examples of the first batch with a backward pass for each of them alone.
    per_layer
        Norms by parameter (True or "parameter") or by layer ("module"), in a dict by name, instead of over
        all.
    last_layer
        Only the parameters of the last operation that has any, with the bias that is added to its result.
    allow_unused
        Accept trainable parameters that the loss does not depend on (their norm is 0).
    variables
        What to measure; by default `model.trainable_variables`.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        *,
        loss: Loss | None = None,
        verify: bool = True,
        per_layer: PerLayer = False,
        last_layer: bool = False,
        allow_unused: bool = False,
        variables: Sequence[Any] | None = None,
    ) -> None:
        if not callable(model):
            raise PruneKitError(
                f"`model` must be a Keras model, a tf.Module or a function; got {type(model).__name__}."
            )
        if keras.config.backend() != "tensorflow":
            raise PruneKitError(
                f"Keras must run on TensorFlow here; its backend is {keras.config.backend()}.",
                hint="set KERAS_BACKEND=tensorflow before keras is imported",
            )
        if per_layer not in (False, True, "parameter", "module"):
            raise PruneKitError(f'`per_layer` must be a bool, "parameter" or "module"; got {per_layer!r}.')
        self.model = model
        self._loss, self._verify, self._per_layer = loss or cross_entropy, verify, per_layer
        self._allow_unused, self._last_layer = allow_unused, last_layer
        self._named = trainable(model, variables)
        self._others = others(model)
        self._call = Logits(model)
        self._plan: Plan | None = None
        self._planned_for = 0
        self._verified = not verify
        self._slow: str | None = None
        self._functions: dict[str, Callable[..., Measured]] = {}
        self._one_by_one: OneByOne | None = None

    def __call__(self, inputs: Inputs, labels: Any, /) -> tf.Tensor | dict[str, tf.Tensor]:
        """Norms of a batch; see `gradient_norms`."""
        return self.with_logits(inputs, labels)[0]

    def with_logits(
        self, inputs: Inputs, labels: Any, /
    ) -> tuple[tf.Tensor | dict[str, tf.Tensor], tf.Tensor]:
        """Norms and the logits of the same forward pass."""
        inputs, labels = as_tensors(inputs), as_tensors(labels)
        batch = check_batch(inputs, labels)
        with left_as_it_was(self._others):
            if self._slow is None and (self._plan is None or self._planned_for < min(batch, EXAMPLES)):
                self._prepare(inputs, labels, batch)
            squared, scale, logits = self._measure(inputs, labels, batch)
            if not self._verified:
                squared, scale, logits = self._check(inputs, labels, squared, scale, logits)
        return self._result(squared, scale), logits

    @property
    def _variables(self) -> list[tf.Variable]:
        return list(self._named.values())

    def _prepare(self, inputs: Inputs, labels: Any, batch: int) -> None:
        """Make a plan, and say what stands in the way of one."""
        self._check_forward(inputs, labels, batch)
        self._replan(inputs, batch)
        if self._plan is None:
            warn_of_probabilities(self._call(examples(inputs, batch, [0])), self.model)
        if self._last_layer and self._plan is None:
            raise PruneKitError(
                f"the last layer cannot be found in this model: {self._slow}.",
                hint="name its variables: variables=[...]",
            )
        if self._last_layer and self._plan is not None and len(self._plan.last) < len(self._named):
            last = self._plan.last
            self._named = {name: v for i, (name, v) in enumerate(self._named.items()) if i in last}
            self._replan(inputs, batch)
        if self._plan is not None and self._plan.unused and not self._allow_unused:
            names = [list(self._named)[i] for i in self._plan.unused]
            raise PruneKitError(
                f"every trainable parameter must take part in the loss; these do not: {', '.join(names[:8])}"
                f"{' ...' if len(names) > 8 else ''}.",
                hint="trainable = False leaves them out, allow_unused=True counts them as 0",
            )

    def _check_forward(self, inputs: Inputs, labels: Any, batch: int) -> None:
        index = list(range(min(batch, EXAMPLES)))
        picked, own = examples(inputs, batch, index), tf.gather(labels, index)
        together = self._call(picked)
        check_rows(together, len(index))
        check_finite(np.asarray(finite_rows(together)).tolist())
        try:
            apart = tf.concat([self._call(examples(picked, len(index), [i])) for i in index], 0)
        except (ValueError, tf.errors.OpError) as error:
            raise PruneKitError(
                f"the model must run on a batch of one example: that defines its gradient. It says: {error}",
                hint="a BatchNorm that uses the batch's statistics cannot",
            ) from error
        check_independent(together, apart, "logits")
        losses, _ = loss_gradients(self._loss, together, own)
        alone = [loss_gradients(self._loss, together[i : i + 1], own[i : i + 1])[0] for i in index]
        check_independent(losses, tf.concat(alone, 0), "loss")

    def _replan(self, inputs: Inputs, batch: int) -> None:
        size = probe_size(self._variables)
        few = examples(inputs, batch, [i % min(batch, EXAMPLES) for i in range(size)])
        self._planned_for = min(batch, EXAMPLES)
        self._functions.clear()
        try:
            self._plan = probe(self.model, self._call, few, self._variables, size)
        except Unsupported as reason:
            self._fall_back(str(reason))
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
            # The forward pass itself has just run: what is missing on this device is a gradient.
            self._fall_back(" ".join(error.message.split())[:200])

    def _measure(self, inputs: Inputs, labels: Any, batch: int) -> tuple[Any, Any, Any]:
        """Squared norms (batch, variables) up to a scale (batch,), that scale, and the logits."""
        for attempt in range(2):
            if self._slow is not None or self._plan is None:
                break
            try:
                measured = self._function(inputs, labels)(*_tensors(inputs), labels)
            except PlanChanged:
                measured = None
            except Unsupported as reason:
                self._fall_back(str(reason))
                break
            if measured is not None:
                squared, scale, logits, finite, hidden = measured
                check_finite(np.asarray(finite).tolist())
                if self._loss is cross_entropy and not labels.dtype.is_floating:
                    check_classes(labels, int(logits.shape[1]))
                if not bool(hidden):
                    return squared, scale, logits
            if attempt == 0:
                self._replan(inputs, batch)
            else:
                self._fall_back("its operations change from batch to batch")
        return self._measure_whole(inputs, labels, batch)

    def _function(self, inputs: Inputs, labels: Any) -> Callable[..., Measured]:
        def described(value: Any) -> Any:
            return (tuple(value.shape), value.dtype.name) if tf.is_tensor(value) else value

        key = repr(tf.nest.map_structure(described, (inputs, labels)))
        if key not in self._functions:
            assert self._plan is not None
            self._functions[key] = measurement(
                self.model, self._call, self._variables, self._loss, self._plan, inputs, labels
            )
        return self._functions[key]

    def _fall_back(self, reason: str) -> None:
        self._slow = reason
        warnings.warn(
            f"gradient_norms takes the gradient of the whole model for each example, which is slow: {reason}."
            " The result is exact.",
            UserWarning,
            stacklevel=5,
        )

    def _measure_whole(self, inputs: Inputs, labels: Any, batch: int) -> tuple[Any, Any, Any]:
        if self._one_by_one is None:
            self._one_by_one = OneByOne(self._call, self._variables, self._loss, compiled=True)
        squared, _, logits = self._one_by_one(inputs, labels, range(batch))
        check_finite(np.asarray(finite_rows(logits)).tolist())
        reached = ~np.isnan(np.asarray(squared))
        squared = tf.where(reached, squared, tf.zeros_like(squared))
        return squared, tf.ones_like(squared[:, 0]), logits

    def _check(
        self, inputs: Inputs, labels: Any, squared: Any, scale: Any, logits: Any
    ) -> tuple[Any, Any, Any]:
        """Compare with the definition; what is wrong is replaced by what is slow."""
        index = sample(int(labels.shape[0]))
        eager = OneByOne(self._call, self._variables, self._loss, compiled=False)
        reference, _, apart = eager(inputs, labels, index)

        def right() -> bool:
            own = np.asarray(squared).astype(np.float64) * np.asarray(scale)[:, None] ** 2
            return agree(own[index], reference, logits.dtype.name) and same(tf.gather(logits, index), apart)

        if not right() and self._slow is None:
            self._fall_back("its norms or logits differ from those of a backward pass for each example")
            squared, scale, logits = self._measure(inputs, labels, int(labels.shape[0]))
        if not right():
            raise PruneKitError(
                "the model gives other gradients when it is called a second time with the same example.",
                hint="randomness that ignores eval() does this",
            )
        self._verified = True
        return squared, scale, logits

    def _result(self, squared: Any, scale: Any) -> tf.Tensor | dict[str, tf.Tensor]:
        dtype = tf.float64 if self._variables[0].dtype == tf.float64 else tf.float32
        squared = tf.cast(squared, tf.float64)
        if not self._per_layer:
            return tf.cast(tf.sqrt(tf.reduce_sum(squared, 1)) * scale, dtype)
        columns: dict[str, Any] = {}
        for i, name in enumerate(self._named):
            key = module_of(name) if self._per_layer == "module" else name
            columns[key] = columns[key] + squared[:, i] if key in columns else squared[:, i]
        return {name: tf.cast(tf.sqrt(column) * scale, dtype) for name, column in columns.items()}


def _tensors(inputs: Inputs) -> list[Any]:
    return [value for value in tf.nest.flatten(inputs) if tf.is_tensor(value)]
