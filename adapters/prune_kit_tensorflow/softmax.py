"""Models that end in a softmax: their probabilities are not logits, and must not be taken for them."""

from __future__ import annotations

import warnings
from typing import Any
from weakref import WeakSet

import numpy as np
import tensorflow as tf

# What changes no value: of a tensor, only its type, name or gradient.
_PASSES_ON = ("Identity", "Cast", "IdentityN", "EnsureShape")

# Models that were warned of: each is traced more than once.
_TOLD: WeakSet[Any] = WeakSet()


def origin(tensor: tf.Tensor) -> tf.Tensor:
    """The tensor of a graph that `tensor` is, apart from its type and name."""
    while tensor.op.type in _PASSES_ON:
        tensor = tensor.op.inputs[tensor.value_index if tensor.op.type == "IdentityN" else 0]
    return tensor


def before_softmax(outputs: tf.Tensor) -> tf.Tensor:
    """The logits of a model: `outputs` themselves, or what goes into the softmax that gives them.

    Outside of a graph there is no telling, and `outputs` are given.
    """
    if tf.executing_eagerly():
        return outputs
    source = origin(outputs)
    if source.op.type != "Softmax":
        return outputs
    return tf.cast(source.op.inputs[0], outputs.dtype)


def warn_of_softmax(model: Any) -> None:
    """Tell, once of each model, that its outputs are not taken for logits."""
    if model in _TOLD:
        return
    _TOLD.add(model)
    warnings.warn(
        f"the model {name_of(model)} ends in a softmax: what goes into it is taken for the logits.",
        UserWarning,
        stacklevel=2,
    )


def warn_of_probabilities(logits: Any, model: Any) -> None:
    """Warn if every row of `logits` (b, c) is a distribution: a softmax that was not found gave it."""
    values = np.asarray(logits, np.float64)
    if values.size and values.min() >= 0 and np.all(np.abs(values.sum(axis=1) - 1) < 1e-2):
        warnings.warn(
            f"the outputs of the model {name_of(model)} look like probabilities (each row lies in [0, 1] and "
            "sums to 1), and are taken for logits: the scores are wrong if they are none. Give a model that "
            "ends before its softmax.",
            UserWarning,
            stacklevel=2,
        )


def name_of(model: Any) -> str:
    """What to call a model in a message."""
    return str(getattr(model, "name", None) or getattr(model, "__name__", None) or type(model).__name__)
