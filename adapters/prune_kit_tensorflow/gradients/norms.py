"""GraNd as one function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ..batches import Inputs
from .engine import GradientNorms, PerLayer
from .losses import Loss


def gradient_norms(
    model: Callable[..., Any],
    inputs: Inputs,
    labels: Any,
    /,
    *,
    loss: Loss | None = None,
    verify: bool = True,
    per_layer: PerLayer = False,
    last_layer: bool = False,
    allow_unused: bool = False,
    variables: Sequence[Any] | None = None,
) -> tf.Tensor | dict[str, tf.Tensor]:
    """GraNd: the L2 norm of each example's own loss gradient over all trainable parameters.

    Exact, in inference mode, at about the cost of one training step on the batch; no gradient of a weight
    is formed. For many batches make one `GradientNorms` and call it: what is learnt about the model with
    the first batch is then used for all.

    Parameters
    ----------
    model
        A Keras 3 model, a `tf.Module` or a function that gives logits; left as it was, also after an
        exception.
    inputs
        A tensor or array, a tuple of positional arguments or a mapping of keyword arguments, examples first.
        A functional Keras model takes the tuple or mapping as the structure of its inputs.
    labels
        Shape (b, ...): class indices, or what `loss` takes.
    loss
        `loss(logits, labels) -> (b,)`, each example's own loss; cross-entropy by default.
    verify
        Compare three examples with a backward pass for each of them alone.
    per_layer
        True or "parameter": a dict of norms by variable path; "module": by layer path.
    last_layer
        Only the parameters of the last operation that has any, with the bias that is added to its result.
    allow_unused
        Accept trainable parameters that the loss does not depend on (their norm is 0).
    variables
        The variables to measure, by default `model.trainable_variables`; a plain function that has no such
        attribute needs them.

    Returns
    -------
    Tensor or dict of Tensor
        Shape (b,), float32 (float64 for a float64 model), in [0, inf); higher is harder. Equals the norm of
        the gradient of `loss(model(x[i:i+1]), y[i:i+1])`.

    Raises
    ------
    PruneKitError
        If an example's result depends on its neighbours (a BatchNorm that uses the batch's statistics, a loss
        that compares examples), a trainable parameter does not take part, logits are not finite, or shapes
        do not fit.

    Warns
    -----
    UserWarning
        Once, if the model is measured in a slow way; the message says why.

    References
    ----------
    Paul, Ganguli, Dziugaite, "Deep Learning on a Data Diet", NeurIPS 2021, Definition 2.1.

    Examples
    --------
    >>> import keras
    >>> layer = keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros")
    >>> model = keras.Sequential([keras.Input((2,)), layer])
    >>> norms = gradient_norms(model, tf.constant([[3.0, 4.0]]), tf.constant([0]))
    >>> round(float(norms[0]), 4)  # |x| * |p - y|
    3.5355
    """
    engine = GradientNorms(
        model,
        loss=loss,
        verify=verify,
        per_layer=per_layer,
        last_layer=last_layer,
        allow_unused=allow_unused,
        variables=variables,
    )
    return engine(inputs, labels)
