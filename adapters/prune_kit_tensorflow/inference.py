"""Logits of a whole data set, batch by batch, in inference mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple

import tensorflow as tf

from .batches import Ids, Model, check_fit
from .compiled import Compiled
from .devices import choose_device
from .gradient_engine import GradientEngine
from .softmax import warn_of_probabilities
from .sources import Source, as_source


class Batch(NamedTuple):
    """What a model says of some examples."""

    ids: Ids
    """Names of the examples, shape (b,), int64 or strings."""
    labels: tf.Tensor
    """Class indices (b,), or soft labels (b, c)."""
    logits: tf.Tensor
    """Shape (b, c), where the model computed them."""
    features: tf.Tensor | None = None
    """Inputs of the last linear layer, shape (b, d), where they were asked for."""
    bias: bool = True
    """Whether that layer has a bias."""
    gradient_norms: tf.Tensor | None = None
    """Norm of each example's loss gradient, shape (b,), where it was asked for."""


def predict(
    model: Model,
    data: Any,
    /,
    *,
    batch_size: int | None = None,
    device: str | None = None,
    features: bool = False,
) -> Iterator[Batch]:
    """Logits of every example, once, in the data set's own order, in inference mode.

    Parameters
    ----------
    model
        A Keras model, a tf.Module that can be called, or a function; called as `calling.call` says, with
        ``training=False``. It gives logits of shape (b, c), alone or as `.logits`, ``["logits"]`` or first of
        a tuple. Of a model that ends in a softmax the logits are what goes into it. It is found again as it
        was.
    data
        (inputs, labels[, ids]) as arrays, `Examples`, a tf.data.Dataset or a keras.utils.PyDataset, without
        augmentation. A tf.data.Dataset that shuffles must bring the ids of its examples.
    batch_size
        Examples at a time; by default those of the Dataset's own batches, else 256.
    device
        Where to compute: cpu, cuda or cuda:N; by default where TensorFlow would.
    features
        Whether to give the inputs of the last linear layer too.

    Returns
    -------
    iterator of Batch
        ids, labels, logits and features of up to `batch_size` examples.

    Raises
    ------
    PruneKitError
        If the data, the batches or the logits are not of these forms, or do not fit each other; at the end,
        if the data gave other examples, or others in their places, than when they were read before.
    """
    return batches(Compiled(model, features=features), as_source(data), batch_size=batch_size, device=device)


def batches(
    compiled: Compiled,
    source: Source,
    *,
    batch_size: int | None,
    device: str | None,
    engine: GradientEngine | None = None,
) -> Iterator[Batch]:
    """What `predict` gives; with an `engine`, gradient norms from the same forward pass too."""
    where = None if device is None else choose_device(device)
    is_first = True
    for ids, inputs, labels in source.ordered(batch_size):
        # Entered for each batch: what the caller does between two batches is not on this device.
        with nullcontext() if where is None else tf.device(where):
            norms, at_last = None, None
            if engine is None or compiled.gives_features:
                logits, at_last = compiled(inputs)
            if engine is not None:
                norms, logits = engine(inputs, labels)
        check_fit(logits, labels)
        if is_first:
            warn_of_probabilities(logits, compiled.model)
            is_first = False
        yield Batch(ids, labels, logits, at_last, compiled.has_bias, norms)
