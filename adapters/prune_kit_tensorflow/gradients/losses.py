"""Each example's own loss, and the gradient it sends into the logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from prune_kit.errors import PruneKitError

Loss = Callable[[Any, Any], Any]


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor, /) -> tf.Tensor:
    """Cross-entropy of each example, in float64.

    In float32, the gradient `softmax(logits) - onehot` of a confident example is the difference of two
    equal numbers; the few logits cost nothing to widen. With class indices the label's own entry is the
    negative sum of the others, which is exact at any confidence.

    Parameters
    ----------
    logits
        Shape (b, c).
    labels
        Class indices (b,), or probabilities (b, c).

    Returns
    -------
    Tensor
        Shape (b,).

    Raises
    ------
    PruneKitError
        If the shapes do not fit, or an index is not a class.
    """
    if logits.shape.rank != 2:
        raise PruneKitError(
            f"cross-entropy needs logits of shape (b, c); got {tuple(logits.shape)}.",
            hint="pass loss=..., a function of (logits, labels) that gives one loss per example",
        )
    indices = not labels.dtype.is_floating
    expected = logits.shape[:1] if indices else logits.shape
    if labels.shape != expected:
        raise PruneKitError(
            f"`labels` must be class indices of shape ({logits.shape[0]},) or probabilities of shape "
            f"{tuple(logits.shape)}; got {labels.dtype.name} of shape {tuple(labels.shape)}.",
            hint="one-hot labels must be floating point",
        )
    wide = tf.cast(logits, tf.float64)
    if not indices:
        return tf.nn.softmax_cross_entropy_with_logits(tf.cast(labels, tf.float64), wide)
    if tf.executing_eagerly():
        check_classes(labels, int(logits.shape[1]))
    loss: tf.Tensor = _of_class(wide, tf.one_hot(labels, int(logits.shape[1]), dtype=tf.float64))
    return loss


def check_classes(labels: tf.Tensor, classes: int) -> None:
    """Raise PruneKitError unless `labels`, not symbolic, are indices of `classes` classes."""
    low, high = int(tf.reduce_min(labels)), int(tf.reduce_max(labels))
    if not 0 <= low <= high < classes:
        raise PruneKitError(
            f"`labels` must be class indices from 0 to {classes - 1}; got values from {low} to {high}.",
            hint="the model's output must have one logit per class",
        )


@tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow has no types
def _of_class(logits: Any, onehot: Any) -> Any:
    loss = tf.nn.softmax_cross_entropy_with_logits(onehot, logits)

    def gradient(upstream: Any) -> tuple[Any, None]:
        others = tf.nn.softmax(logits) * (1 - onehot)
        return upstream[:, None] * (others - onehot * tf.reduce_sum(others, 1, keepdims=True)), None

    return loss, gradient


def loss_gradients(loss: Loss, logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Losses (b,) and the gradient of each in its own logits, shape of `logits` (float32 or wider).

    Raises
    ------
    PruneKitError
        If `loss` does not give one differentiable number per example, or depends on other variables.
    """
    leaf = tf.stop_gradient(logits)
    if leaf.dtype in (tf.float16, tf.bfloat16):
        leaf = tf.cast(leaf, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(leaf)
        # The gradient in float64 where the loss is: what is lost in the logits' type cannot be had back.
        wide = tf.cast(leaf, tf.float64) if loss is cross_entropy else leaf
        tape.watch(wide)
        losses = loss(wide, labels)
    if not tf.is_tensor(losses) or losses.shape != logits.shape[:1]:
        got = tuple(losses.shape) if tf.is_tensor(losses) else type(losses).__name__
        raise PruneKitError(
            f"`loss` must give one number per example, shape ({logits.shape[0]},); got {got}.",
            hint='use reduction="none", and sum what one example has over time or pixels',
        )
    if tape.watched_variables():
        raise PruneKitError(
            "`loss` must be a function of logits and labels alone; it uses other trainable tensors.",
            hint="the norms are of the model's parameters through its logits; put such terms into the model",
        )
    gradient = tape.gradient(losses, wide)
    if gradient is None:
        raise PruneKitError(
            "`loss` does not depend on the logits in a way that can be differentiated.",
            hint="compute it with TensorFlow operations, without stop_gradient or .numpy()",
        )
    return losses, tf.convert_to_tensor(gradient)


def scaled(gradient: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """`gradient` with each example's part brought near 1 by a power of two, and those powers, shape (b,).

    No square underflows then for an example that the model is sure of.
    """
    wide = tf.cast(gradient, tf.float64)
    largest = tf.reduce_max(tf.abs(wide), axis=list(range(1, gradient.shape.rank)))
    largest = tf.where(largest > 0, largest, tf.ones_like(largest))
    scale = tf.pow(
        tf.constant(2, tf.float64), tf.round(tf.math.log(largest) / tf.math.log(tf.constant(2, tf.float64)))
    )
    return wide / tf.reshape(scale, (-1, *[1] * (gradient.shape.rank - 1))), scale
