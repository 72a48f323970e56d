"""Tracing a model so that its operations lie open: no loops over time, no functions within functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

_STEPS = 100
"""Steps up to which a recurrent layer is unrolled: a graph of more takes minutes to make."""


@contextmanager
def laid_open(model: Callable[..., Any]) -> Iterator[None]:
    """Unroll recurrent layers meanwhile; nested `tf.function`s are inlined where the model is called."""
    layers = _recurrent(model)
    unrolled = [layer.unroll for layer in layers]
    try:
        for layer in layers:
            object.__setattr__(layer, "inner_loop", _unrolling(layer))
        yield
    finally:
        for layer, unroll in zip(layers, unrolled, strict=True):
            del layer.__dict__["inner_loop"]
            layer.unroll = unroll


def _unrolling(layer: Any) -> Callable[..., Any]:
    original = layer.inner_loop

    def inner_loop(sequences: Any, initial_state: Any, mask: Any, *args: Any, **kwargs: Any) -> Any:
        steps = sequences.shape[1]
        layer.unroll = steps is not None and steps <= _STEPS
        if not (layer.unroll and layer.go_backwards):
            return original(sequences, initial_state, mask, *args, **kwargs)
        # Keras forgets to turn the mask round where it unrolls a layer that goes backwards.
        mask = mask if mask is None else tf.reverse(mask, [1])
        layer.go_backwards = False
        try:
            return original(tf.reverse(sequences, [1]), initial_state, mask, *args, **kwargs)
        finally:
            layer.go_backwards = True

    return inner_loop


def _recurrent(model: Callable[..., Any]) -> list[Any]:
    found: dict[int, Any] = {}
    for part in [model, *vars(model).values()] if hasattr(model, "__dict__") else [model]:
        if isinstance(part, keras.Layer):
            for layer in part._flatten_layers():
                if hasattr(layer, "inner_loop") and hasattr(layer, "unroll"):
                    found[id(layer)] = layer
    return list(found.values())
