"""What a batch is: tuples and dicts of many shapes become ids, inputs and labels; outputs become logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from prune_kit.batch_parts import check_batch_ids, check_label_shape
from prune_kit.batch_parts import check_fit as check_shapes_fit
from prune_kit.errors import PruneKitError

from .calling import call
from .framework_errors import shortly_told
from .parts import parts_of
from .softmax import before_softmax, warn_of_softmax

Inputs: TypeAlias = Any
"""One tensor, a tuple of them or a dict: what the model is called with (see `calling.call`)."""
Ids: TypeAlias = npt.NDArray[Any]
Model: TypeAlias = Callable[..., Any]
"""A Keras model, a tf.Module that can be called, or a function."""


class RawBatch(NamedTuple):
    """A batch as the data gives it."""

    ids: Ids | None
    """Names of the examples, shape (b,): int64 or strings; None where the data brings none."""
    inputs: Inputs
    labels: tf.Tensor
    """Class indices (b,), int64, or soft labels (b, c)."""


def split_batch(batch: Any) -> RawBatch:
    """Take a batch apart: (x, y), (x, y, ids), a dict with labels under a usual key, or (ids, one of these).

    Raises
    ------
    PruneKitError
        If it is none of these.
    """
    parts = parts_of(batch)
    labels = _as_labels(parts.labels)
    return RawBatch(None if parts.ids is None else _as_ids(parts.ids, len(labels)), parts.inputs, labels)


def _as_labels(labels: Any) -> tf.Tensor:
    tensor = labels if tf.is_tensor(labels) else tf.convert_to_tensor(np.asarray(labels))
    if tensor.shape.rank == 2 and tensor.shape[1] == 1 and not tensor.dtype.is_floating:
        tensor = tensor[:, 0]
    check_label_shape(tuple(tensor.shape))
    return tensor if tensor.dtype.is_floating else tf.cast(tensor, tf.int64)


def _as_ids(ids: Any, n: int) -> Ids:
    array = np.asarray(ids)
    if array.dtype.kind in "OS" and all(isinstance(each, bytes) for each in array.ravel().tolist()):
        array = np.char.decode(array.astype(np.bytes_), "utf-8")  # TensorFlow's strings are bytes
    check_batch_ids(array, n)
    return array if array.dtype.kind == "U" else array.astype(np.int64)


def logits_of(output: Any) -> tf.Tensor:
    """The logits in a model's output: a tensor, `.logits`, ["logits"], or the first of a tuple.

    Raises
    ------
    PruneKitError
        If there is no tensor of floating-point numbers at any of these places.
    """
    logits = output
    if isinstance(output, Mapping) and "logits" in output:
        logits = output["logits"]
    elif hasattr(output, "logits"):
        logits = output.logits
    elif isinstance(output, (tuple, list)) and output:
        logits = output[0]
    if not tf.is_tensor(logits) or not logits.dtype.is_floating:
        what = logits.dtype.name if tf.is_tensor(logits) else type(logits).__name__
        raise PruneKitError(
            f"the model must give logits of shape (batch, classes); got {what}.",
            hint="a tensor, an object with .logits, a dict with 'logits', or a tuple that begins with them",
        )
    return logits


@contextmanager
def model_errors(inputs: Inputs) -> Iterator[None]:
    """Turn what TensorFlow and Keras raise for inputs that do not fit a model into PruneKitError."""
    try:
        yield
    except (PruneKitError, tf.errors.ResourceExhaustedError):
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError, tf.errors.OpError) as error:
        raise PruneKitError(
            f"the model cannot take the data, {_described(inputs)}: {shortly_told(error)}.",
            hint="the model and the data must be made for each other",
        ) from error


def forward(model: Model, inputs: Inputs, *, training: bool = False) -> tf.Tensor:
    """The logits of `model`, whatever it wraps them in; shape (b, c).

    Inside a tf.function, whose graph tells how they came about, the probabilities of a model that ends in a
    softmax are not taken for logits: what goes into the softmax is given, with one warning.

    Raises
    ------
    PruneKitError
        If the model cannot take the inputs, or its output holds no tensor of shape (b, c).
    """
    output = outputs(model, inputs, training=training)
    logits = before_softmax(output)
    if logits is not output:
        warn_of_softmax(model)
    return logits


def outputs(model: Model, inputs: Inputs, *, training: bool = False) -> tf.Tensor:
    """What `model` gives as its logits, be they probabilities, whatever it wraps them in; shape (b, c).

    Raises
    ------
    PruneKitError
        As `forward`.
    """
    with model_errors(inputs):
        output = call(model, inputs, training=training)
    logits = logits_of(output)
    if logits.shape.rank is not None:  # a graph may not know
        check_rank(logits)
    return logits


def check_rank(logits: tf.Tensor) -> None:
    """Refuse logits that do not have shape (b, c)."""
    if logits.shape.rank != 2:
        raise PruneKitError(
            f"the model must give logits of shape (batch, classes); got shape {tuple(logits.shape)}.",
            hint="a score is of one example with one label; flatten or pool what there is more of",
        )


def _described(inputs: Any) -> str:
    """Shapes and types of what a model was given."""
    if hasattr(inputs, "dtype") and hasattr(inputs, "shape"):
        return f"{tf.as_dtype(inputs.dtype).name} of shape {tuple(inputs.shape)}"
    if isinstance(inputs, Mapping):
        return ", ".join(f"{key}: {_described(value)}" for key, value in inputs.items())
    if isinstance(inputs, (tuple, list)):
        return ", ".join(map(_described, inputs))
    return type(inputs).__name__


def check_fit(logits: tf.Tensor, labels: tf.Tensor) -> None:
    """Refuse logits that do not fit the labels: another number of rows or classes.

    Class indices on a GPU are not looked at: each look would wait for it.
    """
    is_at_hand = labels.shape.rank == 1 and len(labels) > 0 and "GPU" not in labels.device
    low_and_high = None
    if is_at_hand:
        values = labels.numpy()
        low_and_high = int(values.min()), int(values.max())
    check_shapes_fit(tuple(logits.shape), tuple(labels.shape), low_and_high)
