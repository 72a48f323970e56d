"""The kernels of convolutions, of which TensorFlow has five."""

from __future__ import annotations

from typing import Any, Literal

import tensorflow as tf

from ..convolution import Convolution
from ..factors import Factor, Written
from ..layout import Rows, Unsupported, static_shape
from ..source import Use


def convolution(use: Use, g: Any, rows: Rows) -> Factor:
    """Conv2D and Conv3D."""
    return _factor(use, use.op.inputs[0], g, rows, "conv")


def depthwise(use: Use, g: Any, rows: Rows) -> Factor:
    """DepthwiseConv2dNative."""
    return _factor(use, use.op.inputs[0], g, rows, "depthwise")


def transposed(use: Use, g: Any, rows: Rows) -> Factor:
    """Conv2DBackpropInput and Conv3DBackpropInputV2, as layers use them."""
    return _factor(use, use.op.inputs[2], g, rows, "transposed")


def _factor(
    use: Use, images: Any, g: Any, rows: Rows, kind: Literal["conv", "depthwise", "transposed"]
) -> Factor:
    if use.argument != 1 or rows.axis != 0:
        raise Unsupported(f"`{use.op.type}` takes a parameter as its images")
    op, spatial = use.op, g.shape.rank - 2
    first = op.get_attr("data_format").startswith(b"NC")
    static_shape(images)
    if first:
        last = [0, *range(2, spatial + 2), 1]
        images, g = tf.transpose(images, last), tf.transpose(g, last)
    places = slice(2, None) if first else slice(1, -1)
    padding: Any = op.get_attr("padding").decode()
    if padding == "EXPLICIT":
        flat = op.get_attr("explicit_paddings")
        padding = tuple(zip(flat[::2], flat[1::2], strict=True))[places]
    kernel = Convolution(
        images,
        g,
        use.source.shape,
        tuple(op.get_attr("strides")[places]),
        padding,
        tuple(op.get_attr("dilations")[places]),
        kind,
    )
    if rows.inner == 1:
        return kernel
    # Several images of each example, as under TimeDistributed or a dilation done by rearrangement.
    return Written(tf.reduce_sum(rows.first(kernel.written_out()), axis=1))
