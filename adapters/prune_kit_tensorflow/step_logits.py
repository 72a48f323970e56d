"""The logits of a training step, from what its loss is computed of: logits, or probabilities of them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import tensorflow as tf

from prune_kit.errors import PruneKitError

from .softmax import before_softmax, name_of, warn_of_probabilities, warn_of_softmax

_OF_PROBABILITIES = ("categorical_crossentropy", "sparse_categorical_crossentropy", "kl_divergence")


def takes_probabilities(loss: Any) -> bool | None:
    """Whether the loss that a model was compiled with takes probabilities; None where there is no telling."""
    if isinstance(loss, (list, tuple)) and len(loss) == 1:
        loss = loss[0]
    from_logits = getattr(loss, "from_logits", None)
    if isinstance(from_logits, bool):
        return not from_logits
    name = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "")
    return True if _snake(str(name)) in _OF_PROBABILITIES else None


def _snake(name: str) -> str:
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in name).lstrip("_")


class StepLogits:
    """Finds the logits in what a model gives its loss, in the graph of a step or eagerly.

    They are what goes into the softmax that gives the output, where there is one. Where the loss takes
    probabilities, and no softmax is found, the logarithms of these are taken: logits up to a constant of each
    example, which no score depends on, but for probabilities that are rounded to 0 or 1.

    Parameters
    ----------
    model
        A compiled Keras model.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._takes_probabilities = takes_probabilities(model.loss)
        self._are_logarithms = False
        self._is_checked = False

    def of(self, output: Any) -> tf.Tensor:
        """The logits in `output`.

        Raises
        ------
        PruneKitError
            If the model has several outputs, or gives no logits (b, c).
        """
        outputs = tf.nest.flatten(output)
        if len(outputs) != 1:
            raise PruneKitError(
                f"the model must have one output, the logits; {name_of(self._model)} has {len(outputs)}.",
                hint="record the one that is meant with a ScoreRecorder in a loop of your own",
            )
        logits = outputs[0]
        if not logits.dtype.is_floating or logits.shape.rank not in (2, None):
            raise PruneKitError(
                f"the model must give logits of shape (batch, classes); got {logits.dtype.name} of shape "
                f"{tuple(logits.shape)}.",
                hint="a score is of one example with one label; flatten or pool what there is more of",
            )
        before: tf.Tensor = getattr(logits, "_keras_logits", None)  # what Keras' own losses look for
        if before is None:
            before = before_softmax(logits)
        if before is not logits:
            warn_of_softmax(self._model)
        if before is not logits or not self._takes_probabilities:
            return before
        self._are_logarithms = True
        probabilities = tf.cast(logits, tf.float32) if logits.dtype.size < 4 else logits
        return tf.math.log(tf.maximum(probabilities, probabilities.dtype.as_numpy_dtype(_TINY)))

    def check(self, logits: tf.Tensor) -> None:
        """Look once at the values of a batch that a step gave: what is taken for what is told.

        Raises
        ------
        PruneKitError
            If the loss takes probabilities, and the outputs are none.
        """
        if self._is_checked:
            return
        self._is_checked = True
        if not self._are_logarithms:
            warn_of_probabilities(logits, self._model)
            return
        sums = np.exp(np.asarray(logits, np.float64)).sum(axis=1)
        if np.abs(sums - 1).max(initial=0) > _TOLERANCE:
            raise PruneKitError(
                f"the loss of the model {name_of(self._model)} takes probabilities (from_logits=False), and "
                f"its outputs are none: a row sums to {sums[np.abs(sums - 1).argmax()]:.4g}.",
                hint="give the loss from_logits=True, or the model a softmax",
            )
        warnings.warn(
            f"the model {name_of(self._model)} gives probabilities, without a softmax to look behind: their "
            "logarithms are taken for the logits, which they are up to a constant of each example, except "
            "where a probability is rounded to 0 or 1.",
            UserWarning,
            stacklevel=2,
        )


_TINY = np.finfo(np.float32).tiny
_TOLERANCE = 0.01  # as far as a softmax in float16 or bfloat16 is a distribution
