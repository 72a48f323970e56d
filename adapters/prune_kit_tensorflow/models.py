"""Built-in models: the paper's SimpleCNN and low-resolution ResNets, a small CNN and an MLP."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from prune_kit.errors import PruneKitError

from .layers import AdaptiveMaxPooling, conv, conv_norm, dense
from .sources import Source, as_source

Shape = tuple[int, ...]


def small_cnn(shape: Shape, num_classes: int, width: int = 16) -> keras.Model:
    """Two convolutions and a linear layer, for images of a few pixels such as the embedded digits."""
    return keras.Sequential(
        [
            keras.Input(shape),
            conv(shape[-1], width, 3, activation="relu"),
            conv(width, 2 * width, 3, activation="relu"),
            AdaptiveMaxPooling(4),
            keras.layers.Flatten(),
            dense(2 * width * 16, num_classes),
        ]
    )


def simple_cnn(shape: Shape, num_classes: int, widths: Sequence[int] = (32, 64, 128)) -> keras.Model:
    """The paper's SimpleCNN: per width a convolution and one of stride 2, then the mean over positions.

    Padding is "same": with stride 2 it is one pixel more below and right.
    """
    layers = [keras.Input(shape)]
    channels = shape[-1]
    for width in widths:
        layers.append(conv(channels, width, 3, activation="relu"))
        layers.append(conv(width, width, 3, strides=2, activation="relu"))
        channels = width
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), dense(channels, num_classes)])


def basic_block(x: Any, width: int, stride: int) -> Any:
    """Two 3 x 3 convolutions with BatchNorm beside a shortcut (He et al. 2016)."""
    body = keras.layers.ReLU()(conv_norm(x, width, 3, stride))
    return _beside_shortcut(x, conv_norm(body, width, 3, 1), stride)


def bottleneck(x: Any, width: int, stride: int) -> Any:
    """1 x 1, 3 x 3 and 1 x 1 convolutions with BatchNorm beside a shortcut (He et al. 2016)."""
    body = keras.layers.ReLU()(conv_norm(x, width, 1, 1))
    body = keras.layers.ReLU()(conv_norm(body, width, 3, stride))
    # Scaled by zeros, so that each block begins as its shortcut.
    return _beside_shortcut(x, conv_norm(body, 4 * width, 1, 1, gamma="zeros"), stride)


def _beside_shortcut(x: Any, body: Any, stride: int) -> Any:
    width = body.shape[-1]
    shortcut = x if stride == 1 and x.shape[-1] == width else conv_norm(x, width, 1, stride)
    return keras.layers.ReLU()(keras.layers.Add()([body, shortcut]))


def resnet(
    block: Callable[[Any, int, int], Any],
    blocks: Sequence[int],
    shape: Shape,
    num_classes: int,
    width: int = 64,
) -> keras.Model:
    """A ResNet for images of about 32 pixels: a 3 x 3 stem of stride 1 and no first pooling."""
    images = keras.Input(shape)
    x = keras.layers.ReLU()(conv_norm(images, width, 3, 1))
    for stage, number in enumerate(blocks):
        for i in range(number):
            x = block(x, width * 2**stage, 2 if stage and not i else 1)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, dense(x.shape[-1], num_classes)(x))


def mlp(shape: Shape, num_classes: int, widths: Sequence[int] = (512, 512)) -> keras.Model:
    """Linear layers with ReLU between them, on inputs flattened to (b, size)."""
    layers = [keras.Input(shape), keras.layers.Flatten()]
    size = math.prod(shape)
    for width in widths:
        layers.append(dense(size, width, activation="relu"))
        size = width
    return keras.Sequential([*layers, dense(size, num_classes)])


_IMAGE_MODELS: dict[str, Callable[[Shape, int], keras.Model]] = {
    "small-cnn": small_cnn,
    "simple-cnn": simple_cnn,
    "resnet18": lambda shape, classes: resnet(basic_block, (2, 2, 2, 2), shape, classes),
    "resnet50": lambda shape, classes: resnet(bottleneck, (3, 4, 6, 3), shape, classes),
}
MODELS = (*_IMAGE_MODELS, "mlp")


def built_in_model(name: str, data: Any, /) -> Callable[[], keras.Model]:
    """What makes a built-in model that fits some data.

    Parameters
    ----------
    name
        One of `MODELS`: small-cnn, simple-cnn, resnet18, resnet50, mlp.
    data
        As for `predict`. The shape of its first example and its largest label (or the number of soft
        labels) give the model's size.

    Returns
    -------
    callable
        Makes a new model each time, with weights drawn from Keras' global generator
        (`keras.utils.set_random_seed`), distributed as PyTorch does it by default.

    Raises
    ------
    PruneKitError
        If there is no such model, or it takes images and the examples are none.

    Examples
    --------
    >>> import numpy as np
    >>> make_model = built_in_model("mlp", (np.zeros((2, 64)), np.array([0, 9])))
    >>> make_model().count_params()
    301066
    """
    if name not in MODELS:
        raise PruneKitError(
            f"there is no built-in model {name!r}; the models are {', '.join(MODELS)}.",
            hint="your own model is package.module:attribute",
        )
    shape, num_classes = _shape_and_classes(as_source(data))
    if name == "mlp":
        return lambda: mlp(shape, num_classes)
    if len(shape) != 3:
        raise PruneKitError(
            f"the model {name} takes images (height, width, channels); an example has shape {shape}.",
            hint="use the model mlp for feature vectors",
        )
    make = _IMAGE_MODELS[name]
    return lambda: make(shape, num_classes)


def _shape_and_classes(source: Source) -> tuple[Shape, int]:
    shape: Shape | None = None
    num_classes = 0
    for _, inputs, labels in source.ordered(None):
        if not tf.is_tensor(inputs):
            raise PruneKitError(
                f"built-in models take one tensor; an example of the data is {type(inputs).__name__}.",
                hint="give your own model as package.module:attribute",
            )
        shape = shape or tuple(inputs.shape[1:])
        is_soft = labels.shape.rank == 2
        num_classes = max(num_classes, labels.shape[1] if is_soft else int(labels.numpy().max()) + 1)
    if shape is None or num_classes < 2:
        raise PruneKitError(f"the labels must have 2 classes or more; got {num_classes}.")
    return shape, num_classes
