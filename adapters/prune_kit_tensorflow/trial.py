"""A first look before anything is written: the model is made once and shown a few of the examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from prune_kit.batch_parts import check_fit as check_shapes_fit
from prune_kit.errors import PruneKitError

from .batches import check_fit, forward
from .randomness import seeded
from .sources import Source

_EXAMPLES = 2


def try_model(make_model: Callable[[], Any], source: Source, *, trains: bool) -> Any:
    """Make a model and pass it the first examples, on the CPU, where every misfit has a clear error.

    Parameters
    ----------
    make_model
        Makes a model with new weights.
    source
        The examples; the labels of all of them are looked at where they are at hand.
    trains
        Whether the model is to be trained.

    Returns
    -------
    keras.Model or tf.Module
        That model, built.

    Raises
    ------
    PruneKitError
        If `make_model` gives no model, or one without parameters (to train), or one that does not fit
        the inputs or the labels.
    """
    with seeded(0), tf.device("CPU:0"):
        model = make_model()
        if not isinstance(model, (keras.Layer, tf.Module)) or not callable(model):
            raise PruneKitError(
                f"`make_model` must return a Keras model or a tf.Module; got {type(model).__name__}.",
                hint="give a function without arguments, such as `lambda: MyModel(num_classes=10)`",
            )
        logits, labels = first_logits(model, source)
    parameters = model.variables if isinstance(model, tf.Module) else model.weights
    if not parameters or (trains and not model.trainable_variables):
        raise PruneKitError(
            f"the model must have parameters{' that require gradients' if parameters else ''}; "
            f"{type(model).__name__} has none.",
            hint="there is nothing to train, and every checkpoint of it is the same",
        )
    check_fit(logits, labels)
    if source.labels is not None:
        check_labels(source.labels, classes=logits.shape[1])
    return model


def check_labels(labels: tf.Tensor, *, classes: int) -> None:
    """Refuse labels that a model of so many classes cannot have."""
    low_and_high = None
    if labels.shape.rank == 1:
        values = labels.numpy()
        low_and_high = int(values.min()), int(values.max())
    check_shapes_fit((len(labels), classes), tuple(labels.shape), low_and_high)


def first_logits(model: Any, source: Source) -> tuple[tf.Tensor, tf.Tensor]:
    """What `model` gives for the first examples, and their labels; a Keras model is built by it."""
    _, inputs, labels = next(iter(source.ordered(_EXAMPLES)))
    return forward(model, inputs), labels
