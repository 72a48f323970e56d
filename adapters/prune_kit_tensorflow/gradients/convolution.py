"""The kernel of one convolution op: every example's own gradient, or its squared norm.

The cheapest formula is chosen from the shapes when the graph is traced, never by a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import tensorflow as tf

from .convolution_correlation import Correlation, Padding
from .convolution_formulas import Formula, squared, written
from .factors.base import wide


@dataclass(frozen=True)
class Convolution:
    """What one op was called with, and the cotangent of its result.

    Channels come last. Every size but the batch's has to be known. Half precision is widened to float32.

    Parameters
    ----------
    images
        Shape (b, *space, C): what the op convolves; one to three spatial axes.
    cotangent
        Shape (b, *positions, O): the loss's gradient with respect to the op's result.
    kernel_shape
        (*window, C / groups, O); of "depthwise" (*window, C, multiplier); of "transposed" (*window, O, C).
    strides, dilations
        One number for each spatial axis.
    padding
        "SAME", "VALID", or how many zeros stand (before, after) each spatial axis; of "transposed" that of
        the convolution it transposes, as TensorFlow counts it.
    kind
        "conv" (Conv2D, Conv3D), "depthwise" (DepthwiseConv2dNative) or "transposed" (Conv2DBackpropInput,
        Conv3DBackpropInputV2).
    """

    images: Any
    cotangent: Any
    kernel_shape: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Padding
    dilations: tuple[int, ...]
    kind: Literal["conv", "depthwise", "transposed"] = "conv"

    def squared_norms(self) -> Any:
        """The squared L2 norm of each example's gradient, shape (b,)."""
        c = self.correlation()
        return tf.reshape(cheapest(squared(c)).apply(c), [-1])

    def written_out(self) -> Any:
        """Each example's gradient, shape (b, *kernel_shape)."""
        c = self.correlation()
        return tf.reshape(cheapest(written(c)).apply(c), [-1, *self.kernel_shape])

    def correlation(self) -> Correlation:
        """The same as a correlation of two fields, of one kind for all kinds of convolution."""
        x, g = wide(self.images), wide(self.cotangent)
        if self.kind == "transposed":
            x, g = g, x
        channels = int(x.shape[-1])
        groups = channels if self.kind == "depthwise" else channels // self.kernel_shape[-2]
        window = tuple(self.kernel_shape[:-2])
        return Correlation(x, g, window, tuple(self.strides), tuple(self.dilations), self.padding, groups)


def cheapest(formulas: dict[str, Formula]) -> Formula:
    """The one of the lowest cost; on a GPU among those that take the whole batch, where there are some."""
    if tf.config.list_logical_devices("GPU"):
        formulas = {name: way for name, way in formulas.items() if not way.single} or formulas
    return min(formulas.values(), key=lambda way: way.cost)
