"""The layers of the built-in models, with weights drawn from the distributions that PyTorch draws from."""

from __future__ import annotations

import math
from typing import Any

import keras


def dense(fan_in: int, units: int, *, activation: str | None = None) -> keras.layers.Dense:
    """A linear layer of `fan_in` inputs."""
    return keras.layers.Dense(
        units,
        activation=activation,
        kernel_initializer=_uniform(fan_in),
        bias_initializer=_uniform(fan_in),
    )


def conv(
    channels: int, filters: int, size: int, *, strides: int = 1, activation: str | None = None
) -> keras.layers.Conv2D:
    """A convolution of `channels` channels with padding "same"."""
    fan_in = channels * size**2
    return keras.layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="same",
        activation=activation,
        kernel_initializer=_uniform(fan_in),
        bias_initializer=_uniform(fan_in),
    )


def conv_norm(x: Any, filters: int, size: int, stride: int, *, gamma: str = "ones") -> Any:
    """A convolution without bias, padded alike on both sides, and BatchNorm, applied to `x`."""
    # "same" is that already where the stride is 1; else its odd pixel would be the last.
    is_strided = stride > 1 and size > 1
    if is_strided:
        x = keras.layers.ZeroPadding2D(size // 2)(x)
    convolved = keras.layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="valid" if is_strided else "same",
        use_bias=False,
        kernel_initializer=_uniform(x.shape[-1] * size**2),
    )(x)
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma)(convolved)


def _uniform(fan_in: int) -> keras.initializers.Initializer:
    """PyTorch's default, Kaiming-uniform with a = sqrt(5): within 1 / sqrt(fan_in) of zero.

    A new one for each weight, since one initialiser draws the same numbers again.
    """
    bound = 1 / math.sqrt(fan_in)
    return keras.initializers.RandomUniform(-bound, bound)


@keras.saving.register_keras_serializable(package="prune_kit")
class AdaptiveMaxPooling(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Maxima of images over `size` x `size` regions, as even as they can be; they overlap if need be.

    Parameters
    ----------
    size
        Rows and columns of the result, shape (b, size, size, channels).
    """

    def __init__(self, size: int, **options: Any) -> None:
        super().__init__(**options)
        self.size = size

    def call(self, images: Any) -> Any:
        """Pool images of shape (b, height, width, channels)."""
        for axis in (1, 2):
            length = images.shape[axis]
            if length % self.size == 0:
                even = (*images.shape[1:axis], self.size, length // self.size, *images.shape[axis + 1 :])
                images = keras.ops.max(keras.ops.reshape(images, (-1, *even)), axis=axis + 1)
                continue
            before = (slice(None),) * axis
            maxima = [
                keras.ops.max(
                    images[(*before, slice(i * length // self.size, self._end(i, length)))], axis=axis
                )
                for i in range(self.size)
            ]
            images = keras.ops.stack(maxima, axis=axis)
        return images

    def _end(self, i: int, length: int) -> int:
        return -(-(i + 1) * length // self.size)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(b, size, size, channels)."""
        return (input_shape[0], self.size, self.size, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """What the layer is made from."""
        return {**super().get_config(), "size": self.size}
