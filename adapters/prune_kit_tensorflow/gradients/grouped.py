"""The gradient of a grouped Conv2D, which TensorFlow does not have on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

OWN_GRADIENT = "PruneKitConv2D"
"""The name under which the gradient is registered."""


@contextmanager
def with_grouped_gradient() -> Iterator[None]:
    """Conv2D operations that are made meanwhile have a gradient whatever their groups are."""
    with tf.compat.v1.get_default_graph().gradient_override_map({"Conv2D": OWN_GRADIENT}):
        yield


@tf.RegisterGradient(OWN_GRADIENT)  # type: ignore[untyped-decorator]  # TensorFlow has no types
def _gradient(op: Any, g: Any) -> tuple[Any, Any]:
    images, kernel = op.inputs
    first = op.get_attr("data_format") == b"NCHW"
    channels = 1 if first else 3
    groups = images.shape[channels] // kernel.shape[2]
    options = {
        "strides": op.get_attr("strides"),
        "padding": op.get_attr("padding").decode(),
        "dilations": op.get_attr("dilations"),
        "data_format": op.get_attr("data_format").decode(),
    }
    if options["padding"] == "EXPLICIT":
        options["explicit_paddings"] = op.get_attr("explicit_paddings")
    if groups == 1:
        return _of_group(images, kernel, g, options)
    parts = [
        _of_group(*of_group, options)
        for of_group in zip(
            tf.split(images, groups, channels),
            tf.split(kernel, groups, 3),
            tf.split(g, groups, channels),
            strict=True,
        )
    ]
    return tf.concat([image for image, _ in parts], channels), tf.concat([k for _, k in parts], 3)


def _of_group(images: Any, kernel: Any, g: Any, options: dict[str, Any]) -> tuple[Any, Any]:
    return (
        tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(images), filter=kernel, out_backprop=g, **options
        ),
        tf.raw_ops.Conv2DBackpropFilter(
            input=images, filter_sizes=tf.shape(kernel), out_backprop=g, **options
        ),
    )
