"""Random numbers of an epoch that depend on its seed alone, and leave the caller's streams alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state
from tensorflow.python.eager import context

from prune_kit.global_streams import streams_put_back

# What `keras.utils.set_random_seed` changes; Keras has no public way to read it.
_OF_KERAS = ("global_random_seed", "global_seed_generator")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed TensorFlow, Keras, NumPy and `random` inside the block; put their states back after it.

    The global generators are what initialisers and users' augmentation draw from. Operations of `tf.random`
    inside a tf.function begin again with the numbers that they had after it was traced, whatever the seed:
    TensorFlow writes their seeds into the graph.
    """
    eager: Any = context.context()
    # There is no public way to go on with a stream; a context that was never seeded has none.
    tensorflow_state = eager._seed, getattr(eager, "_rng", None)
    keras_state = [global_state.get_global_attribute(name) for name in _OF_KERAS]
    try:
        with streams_put_back():
            seed_all(seed)
            yield
    finally:
        eager._seed, eager._rng = tensorflow_state
        for name, value in zip(_OF_KERAS, keras_state, strict=True):
            global_state.set_global_attribute(name, value)


def seed_all(seed: int) -> None:
    """Seed the global generators of TensorFlow, Keras, NumPy and `random`."""
    keras.utils.set_random_seed(seed % 2**32)  # as NumPy wants it
    random.seed(seed)


def reseed(model: Any, seed: int) -> None:
    """Put every SeedGenerator of a Keras model, which dropout draws from, where `seed` has it."""
    if not isinstance(model, keras.Layer):
        return
    weights = {id(weight) for weight in model.weights}
    states = [v for v in model.variables if id(v) not in weights and v.name == "seed_generator_state"]
    for i, state in enumerate(states):
        word = np.random.SeedSequence([seed, i]).generate_state(1, np.uint32)[0]
        state.assign([int(word) >> 1, 0])


def deterministic_kernels(device: str) -> None:
    """Have TensorFlow choose kernels that give the same bits each time, on a GPU.

    Those of the CPU do so by themselves. TensorFlow has no way to take this back: it holds for the rest of
    the process.
    """
    if device.startswith("GPU"):
        tf.config.experimental.enable_op_determinism()
