"""Logits of a whole data set, batch by batch, from an exported model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Unpack

import numpy as np

from prune_kit.arrays import NumpyArray
from prune_kit.batch_parts import check_fit
from prune_kit.checks import is_whole_number
from prune_kit.errors import PruneKitError
from prune_kit.ids import some

from .model import Model
from .opening import OnnxModel
from .options import ModelOptions, Options
from .providers import warn_if_installed_twice
from .sources import Source, as_source
from .standardise import standardisation

_BATCH_SIZE = 256


class Batch(NamedTuple):
    """What a model says of some examples, as NumPy arrays."""

    ids: NumpyArray
    """Names of the examples, shape (b,), int64 or strings."""
    labels: NumpyArray
    """Class indices (b,), or soft labels (b, c)."""
    logits: NumpyArray
    """Shape (b, c); probabilities where `from_logits` is False."""
    features: NumpyArray | None = None
    """Inputs of the last linear layer, shape (b, d), where they were asked for."""
    bias: bool = True
    """Whether that layer has a bias."""
    from_logits: bool = True
    """Whether `logits` are logits, not probabilities."""


def predict(
    model: OnnxModel,
    data: Any,
    /,
    *,
    batch_size: int | None = None,
    device: str | None = None,
    features: bool = False,
    **options: Unpack[Options],
) -> Iterator[Batch]:
    """Logits of every example, once, in the data set's own order.

    Parameters
    ----------
    model
        A path, bytes, an onnx.ModelProto or an onnxruntime.InferenceSession. It gives logits of shape (b, c),
        or probabilities, in one of its outputs.
    data
        A stream of `prune_kit.data.open_examples`, Examples, (inputs, labels[, ids]) as arrays, or a
        collection of such batches; see `as_source`. Without augmentation.
    batch_size
        Examples at a time, 256 by default. A model of a fixed batch takes its own number at a time.
    device
        cpu, cuda, cuda:N, tensorrt or directml; by default the first that works, GPUs before the CPU.
    features
        Whether to give the inputs of the last linear layer too.
    **options
        logits, from_logits, scale, mean, std, layout, threads: see `ModelOptions`.

    Returns
    -------
    iterator of Batch
        ids, labels, logits and features of up to `batch_size` examples.

    Raises
    ------
    PruneKitError
        If the model cannot be opened, or the data, its inputs or outputs are not of these forms or do not fit
        each other, or logits are NaN or infinite.
    """
    source = as_source(data)
    return batches(opened(model, source, device, features, ModelOptions(**options)), source, batch_size)


def opened(
    model: OnnxModel, source: Source, device: str | None, features: bool, options: ModelOptions
) -> Model:
    """The model, ready for the examples of `source`."""
    warn_if_installed_twice()
    ready = Model(model, options, device=device, features=features)
    ready.standardise_by(standardisation(source, ready.inputs, options))
    return ready


def batches(model: Model, source: Source, batch_size: int | None) -> Iterator[Batch]:
    """What `predict` gives."""
    if batch_size is not None and not is_whole_number(batch_size, at_least=1):
        raise PruneKitError(f"`batch_size` must be a whole number of 1 or more; got {batch_size!r}.")
    return _batches(model, source, batch_size or _BATCH_SIZE)


def _batches(model: Model, source: Source, batch_size: int) -> Iterator[Batch]:
    for ids, inputs, labels in source.batches(batch_size):
        logits, features = model.run(inputs, len(labels))
        if not np.isfinite(logits).all():
            rows = np.flatnonzero(~np.isfinite(logits).all(axis=1))
            raise PruneKitError(
                f"{model.name} gives NaN or infinite logits for the examples {some(ids[rows].tolist())}.",
                hint="their inputs may be far from what the model was trained on (scale, mean, std), or "
                "float16 overflows above 65504",
            )
        low_and_high = (int(labels.min()), int(labels.max())) if labels.ndim == 1 else None
        check_fit(logits.shape, labels.shape, low_and_high)
        yield Batch(ids, labels, logits, features, model.has_bias, model.from_logits is not False)
