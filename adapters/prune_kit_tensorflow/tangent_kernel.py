"""The neural tangent kernel: Gram matrix of the Jacobian of the logits, some of its columns at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from prune_kit.errors import PruneKitError

from .batches import Inputs, Model, check_rank, model_errors
from .gradients.guard import left_as_it_was
from .gradients.inputs import as_tensors, check_batch, check_finite, check_rows, examples, finite_rows
from .gradients.logits import Logits
from .gradients.trace import UNTRACEABLE
from .gradients.variables import others, trainable
from .gradients.verify import check_independent, sample
from .softmax import warn_of_probabilities


def neural_tangent_kernel(
    model: Model, inputs: Inputs, /, *, variables: Sequence[Any] | None = None, memory: int = 2**30
) -> tf.Tensor:
    """The Gram matrix of the gradients of every logit of every example over all trainable parameters.

    Exact, in inference mode: a backward pass of one example for each row of the Jacobian. Where the Jacobian
    does not fit `memory`, its columns are computed part by part, with all rows of each.

    Parameters
    ----------
    model
        See `predict`: logits of shape (m, c). It is found again as it was.
    inputs
        m examples, first in every tensor: as the model takes them.
    variables
        Whose gradients; by default `model.trainable_variables`.
    memory
        Bytes that gradients may take at once, about. With less, more backward passes are made.

    Returns
    -------
    tf.Tensor
        Shape (m * c, m * c), float32 (float64 of a float64 model), symmetric and positive semi-definite but
        for rounding; row i * c + k is logit k of example i.

    Raises
    ------
    PruneKitError
        If an example's logits depend on its neighbours, are not finite or not of shape (m, c), or the model
        has nothing trainable.

    References
    ----------
    Jacot et al., "Neural Tangent Kernel", NeurIPS 2018.

    Examples
    --------
    >>> import keras
    >>> layers = [keras.Input((2,)), keras.layers.Dense(2, use_bias=False)]
    >>> neural_tangent_kernel(keras.Sequential(layers), [[3.0, 4.0]]).numpy()  # |x|^2 on the diagonal
    array([[25.,  0.],
           [ 0., 25.]], dtype=float32)
    """
    return TangentKernel(model, variables=variables, memory=memory)(inputs)


class TangentKernel:
    """Gives kernels of one model, whose weights may change between calls; see `neural_tangent_kernel`."""

    def __init__(self, model: Model, *, variables: Sequence[Any] | None = None, memory: int = 2**30) -> None:
        if not callable(model):
            raise PruneKitError(
                f"`model` must be a Keras model, a tf.Module or a function; got {type(model).__name__}."
            )
        self._model, self._given, self._memory = model, variables, memory
        self._logits = Logits(model)
        self._rows: dict[tuple[int, ...], _Rows] = {}

    def __call__(self, inputs: Inputs, /) -> tf.Tensor:
        """The kernel of some examples."""
        inputs = as_tensors(np.asarray(inputs) if isinstance(inputs, list) else inputs)
        with model_errors(inputs):
            logits = self._logits(inputs)  # builds what its first batch builds
        with left_as_it_was(others(self._model)):
            batch, classes = self._check(inputs, logits)
            variables = list(trainable(self._model, self._given).values())
            wide = tf.float64 if any(v.dtype == tf.float64 for v in variables) else tf.float32
            kernel = tf.zeros((batch * classes, batch * classes), wide)
            # Rows are there twice while they are put together.
            columns = max(1, self._memory // (2 * batch * classes * wide.size))
            for chosen, start, stop in _parts([int(np.prod(v.shape)) for v in variables], columns):
                if chosen not in self._rows:
                    self._rows[chosen] = _Rows(self._logits, [variables[i] for i in chosen], wide)
                rows = self._rows[chosen].between(inputs, (batch, classes), start, stop)
                kernel += tf.matmul(rows, rows, transpose_b=True)
        return (kernel + tf.transpose(kernel)) / 2

    def _check(self, inputs: Inputs, logits: tf.Tensor) -> tuple[int, int]:
        """How many examples and logits there are, each example being on its own."""
        check_rank(logits)
        batch, classes = (int(n) for n in logits.shape)
        check_batch(inputs, logits)
        check_rows(logits, batch)
        check_finite(np.asarray(finite_rows(logits)).tolist())
        warn_of_probabilities(logits, self._model)
        index = sample(batch)
        try:
            apart = tf.concat([self._logits(examples(inputs, batch, [i])) for i in index], 0)
        except (ValueError, tf.errors.OpError) as error:
            raise PruneKitError(
                f"the model must run on a batch of one example: that defines its gradient. It says: {error}",
                hint="a BatchNorm that uses the batch's statistics cannot",
            ) from error
        check_independent(tf.gather(logits, index), apart, "logits")
        return batch, classes


class _Rows:
    """Rows of the Jacobian for some of the variables; compiled where the model can be traced."""

    def __init__(
        self, logits: Callable[[Inputs], tf.Tensor], variables: Sequence[tf.Variable], dtype: tf.DType
    ) -> None:
        self._logits, self._variables, self._dtype = logits, variables, dtype
        self._compiled: Callable[[Inputs, tf.Tensor], tf.Tensor] = tf.function(self._row, autograph=False)

    def between(self, inputs: Inputs, shape: tuple[int, int], start: int, stop: int) -> tf.Tensor:
        """Columns `start` to `stop` of every row, shape (batch * classes, stop - start)."""
        batch, classes = shape
        unit = tf.eye(classes)
        rows = []
        for i in range(batch):
            own = examples(inputs, batch, [i])
            rows += [self._one(own, unit[k : k + 1])[start:stop] for k in range(classes)]
        return tf.stack(rows)

    def _one(self, inputs: Inputs, cotangent: tf.Tensor) -> tf.Tensor:
        try:
            return self._compiled(inputs, cotangent)
        except UNTRACEABLE:
            self._compiled = self._row
            return self._row(inputs, cotangent)

    def _row(self, inputs: Inputs, cotangent: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for variable in self._variables:
                tape.watch(variable)
            logits = self._logits(inputs)
        gradients = tape.gradient(
            logits,
            list(self._variables),
            output_gradients=tf.cast(cotangent, logits.dtype),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        flat = [tf.reshape(tf.convert_to_tensor(gradient), (-1,)) for gradient in gradients]
        return tf.concat([tf.cast(each, self._dtype) for each in flat], 0)


def _parts(sizes: Sequence[int], columns: int) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Variables that fit `columns` together, from where to where; one that does not fit comes in pieces."""
    chosen: list[int] = []
    width = 0
    for i, size in enumerate(sizes):
        if chosen and width + size > columns:
            yield tuple(chosen), 0, width
            chosen, width = [], 0
        if size > columns:
            for start in range(0, size, columns):
                yield (i,), start, min(start + columns, size)
            continue
        chosen.append(i)
        width += size
    if chosen:
        yield tuple(chosen), 0, width
