"""How a model is called: its one argument, or several by position or name, at test time or in training."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from tensorflow.errors import OperatorNotAllowedInGraphError

_GIVEN_BY_KERAS = ("mask", "training")


def call(model: Callable[..., Any], inputs: Any, *, training: bool = False) -> Any:
    """What `model` gives for `inputs`.

    A dict or a tuple is the model's one argument, as Keras' functional models have it. Where its `call` (or
    `__call__`, or the function) names several inputs, a tuple gives them by position, a dict by name.
    `training` is passed to every Keras layer, and to what else has an argument of this name.
    """
    if training or tf.executing_eagerly():
        return _called(model, inputs, training)
    try:
        with _functions_inlined():
            return _called(model, inputs, training)
    except OperatorNotAllowedInGraphError:  # of a tf.function whose control flow has to be translated
        return _called(model, inputs, training)


@contextmanager
def _functions_inlined() -> Iterator[None]:
    """Lay open what happens in a model's own tf.functions: its softmax and last layer are to be found.

    This is a setting of the whole process: other threads that call a tf.function meanwhile run it by steps.
    """
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _called(model: Callable[..., Any], inputs: Any, training: bool) -> Any:
    if isinstance(model, keras.layers.Layer):
        names, takes_training = _parameters(model.call)[0], True
        names = [name for name in names if name not in _GIVEN_BY_KERAS]
    else:
        names, takes_training = _parameters(model)
    keywords = {"training": training} if takes_training else {}
    if isinstance(inputs, Mapping) and set(inputs) <= set(names):
        return model(**inputs, **keywords)
    if isinstance(inputs, (tuple, list)) and len(names) > 1:
        return model(*inputs, **keywords)
    return model(inputs, **keywords)


def _parameters(function: Callable[..., Any]) -> tuple[list[str], bool]:
    """The names of a function's parameters, and whether it takes `training`."""
    function = getattr(function, "python_function", function)  # of a tf.function
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = getattr(type(function).__call__, "python_function", function)
    try:
        parameters = inspect.signature(function).parameters
    except (ValueError, TypeError):  # what is not written in Python does not tell
        return [], False
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [n for n, p in parameters.items() if p.kind not in variadic and n not in ("self", "training")]
    return names, "training" in parameters
