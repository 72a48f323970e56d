"""The weights of a model under names that two models of one architecture share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from prune_kit.arrays import NumpyArray

Variable = Any
"""A keras.Variable or a tf.Variable."""

_NUMBER = re.compile(r"_\d+(?=[/:]|$)")


def named_weights(model: Any) -> dict[str, Variable]:
    """Every weight of `model`, trained or not, once: without seeds of dropout, metrics and optimizer.

    Keras numbers layers through the whole process (dense_7), so that a second model of the same
    architecture has other names: here the numbers are left away, and the weight's place comes first, as in
    "2/sequential/dense/kernel".
    """
    found = model.weights if isinstance(model, keras.Layer) else getattr(model, "variables", ())
    named = {}
    for i, variable in enumerate(found):
        path = str(getattr(variable, "path", None) or variable.name).partition(":")[0]
        named[f"{i}/{_NUMBER.sub('', path)}"] = variable
    return named


def shapes_of(model: Any) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes of every weight."""
    return [(name, tuple(variable.shape)) for name, variable in named_weights(model).items()]


def values_of(variables: Mapping[str, Variable]) -> dict[str, NumpyArray]:
    """The values of variables, as NumPy arrays of their own."""
    return {name: np.array(tf.convert_to_tensor(variable)) for name, variable in variables.items()}


def set_values(variables: Mapping[str, Variable], values: Mapping[str, Any]) -> None:
    """Give each variable the value of its name."""
    for name, variable in variables.items():
        variable.assign(values[name])


def copy_weights(source: Any, target: Any) -> None:
    """Give `target` the weights of `source`, another model of the same architecture."""
    for of_target, of_source in zip(
        named_weights(target).values(), named_weights(source).values(), strict=True
    ):
        of_target.assign(tf.convert_to_tensor(of_source))
