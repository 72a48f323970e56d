"""The Keras networks that gradient norms are measured on: ordinary ones, written with ordinary layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray


def mlp() -> keras.Model:
    dense = [layers.Dense(512, "relu"), layers.Dense(512, "relu"), layers.Dense(10)]
    return keras.Sequential([keras.Input((784,)), *dense])


def simple_cnn() -> keras.Model:
    stack: list[Any] = [keras.Input((32, 32, 3))]
    for channels in (32, 64, 128):
        stack += [layers.Conv2D(channels, 3, padding="same", activation="relu")]
        stack += [layers.Conv2D(channels, 3, strides=2, padding="same", activation="relu")]
    return keras.Sequential([*stack, layers.GlobalAveragePooling2D(), layers.Dense(10)])


def _conv_norm(x: Any, channels: int, size: int, stride: int) -> Any:
    x = layers.Conv2D(channels, size, stride, "same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def resnet18() -> keras.Model:
    """ResNet-18 for 32 x 32 pixels: a 3 x 3 stem without pooling."""
    images = keras.Input((32, 32, 3))
    x = layers.ReLU()(_conv_norm(images, 64, 3, 1))
    for channels, first in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first, 1):
            shortcut = x if stride == 1 else _conv_norm(x, channels, 1, stride)
            x = layers.ReLU()(_conv_norm(x, channels, 3, stride))
            x = layers.ReLU()(layers.add([_conv_norm(x, channels, 3, 1), shortcut]))
    return keras.Model(images, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def depthwise() -> keras.Model:
    """Depthwise separable convolutions with GroupNorm."""
    images = keras.Input((32, 32, 3))
    x = layers.ReLU()(layers.GroupNormalization(8)(layers.Conv2D(32, 3, padding="same")(images)))
    for channels, stride in ((64, 1), (128, 2), (128, 1), (256, 2)):
        for layer in (layers.DepthwiseConv2D(3, stride, "same"), layers.Conv2D(channels, 1)):
            x = layers.ReLU()(layers.GroupNormalization(8)(layer(x)))
    return keras.Model(images, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def lstm() -> keras.Model:
    stack = [layers.Embedding(5000, 128), layers.LSTM(256), layers.Dense(10)]
    return keras.Sequential([keras.Input((32,), dtype="int32"), *stack])


def transformer() -> keras.Model:
    """Two blocks of attention over 32 words."""
    words = keras.Input((32,), dtype="int32")
    x = layers.Embedding(5000, 128)(words)
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x = layers.add([x, layers.MultiHeadAttention(4, 32)(y, y)])
        y = layers.Dense(512, "gelu")(layers.LayerNormalization()(x))
        x = layers.add([x, layers.Dense(128)(y)])
    return keras.Model(words, layers.Dense(10)(layers.GlobalAveragePooling1D()(x)))


@dataclass(frozen=True)
class Task:
    """A network, its batch size, and the ratio to plain that is to be reached on one thread."""

    make: Callable[[], keras.Model]
    batch: int
    inputs: Callable[[np.random.Generator, int], NDArray[Any]]
    target: float | None = None


def _images(rng: np.random.Generator, b: int) -> NDArray[Any]:
    return rng.normal(size=(b, 32, 32, 3)).astype(np.float32)


def _words(rng: np.random.Generator, b: int) -> NDArray[Any]:
    return rng.integers(0, 5000, (b, 32), dtype=np.int32)


TASKS = {
    "mlp": Task(mlp, 256, lambda rng, b: rng.normal(size=(b, 784)).astype(np.float32), 0.9),
    "resnet18": Task(resnet18, 32, _images, 1.5),
    "simple-cnn": Task(simple_cnn, 128, _images, 1.8),
    "depthwise": Task(depthwise, 64, _images),
    "lstm": Task(lstm, 64, _words),
    "transformer": Task(transformer, 64, _words),
}
