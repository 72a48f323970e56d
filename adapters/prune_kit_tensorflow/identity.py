"""What tells one model from another when a run is resumed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from prune_kit import identity

from .weights import shapes_of


def structure(model: Any) -> dict[str, Any]:
    """The model's class, its size, and a digest of the names and shapes of its weights."""
    parameters = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    return identity.structure(type(model), shapes_of(model), parameters=parameters)


def compiled_with(model: keras.Model) -> dict[str, Any]:
    """What a compiled model is trained with, as JSON values: its optimizer with settings, and its loss."""
    settings = keras.saving.serialize_keras_object(model.optimizer)
    loss = model.loss if isinstance(model.loss, str) else identity.replaced_parts(loss=model.loss)
    return {"optimizer": _as_json(settings), "loss": loss}


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        # Keras numbers the names of optimizers through the whole process.
        return {str(key): _as_json(each) for key, each in value.items() if key != "name"}
    if isinstance(value, (list, tuple)):
        return [_as_json(each) for each in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    return f"{type(value).__module__}.{type(value).__qualname__}"  # a repr may hold a memory address
