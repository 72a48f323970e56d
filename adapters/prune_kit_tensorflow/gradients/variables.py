"""Which variables are measured, and what they are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from prune_kit.errors import PruneKitError


def trainable(model: Callable[..., Any], given: Sequence[Any] | None) -> dict[str, tf.Variable]:
    """Every trainable variable, once, under its path (Keras) or its name.

    Raises
    ------
    PruneKitError
        If there is none, or one has no values yet.
    """
    if isinstance(model, keras.Layer) and not model.built:
        raise PruneKitError(
            "every parameter must be initialised; this model is not built.",
            hint="call the model on a batch once",
        )
    found = given if given is not None else getattr(model, "trainable_variables", None)
    if found is None:
        raise PruneKitError(
            "`model` must say which variables it trains; "
            f"{type(model).__name__} has no `trainable_variables`.",
            hint="pass variables=[...] with a plain function",
        )
    named: dict[str, tf.Variable] = {}
    seen: set[int] = set()
    for variable in found:
        name = str(getattr(variable, "path", None) or variable.name.partition(":")[0])
        value = variable.value if isinstance(variable, keras.Variable) else variable
        if id(value) in seen or not value.dtype.is_floating or not variable.trainable:
            continue
        seen.add(id(value))
        named[_fresh(name, named)] = value
    if not named:
        raise PruneKitError(
            "the model must have at least one parameter that requires gradients; it has none.",
            hint="set trainable = True on what is trained",
        )
    return named


def _fresh(name: str, taken: dict[str, Any]) -> str:
    if name not in taken:
        return name
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def others(model: Callable[..., Any]) -> list[tf.Variable]:
    """The variables that are not trained: what a forward pass may change."""
    found = getattr(model, "non_trainable_variables", ())
    return [v.value if isinstance(v, keras.Variable) else v for v in found]


def module_of(name: str) -> str:
    """The layer's part of a variable's name."""
    return name.rpartition("/")[0] or name
