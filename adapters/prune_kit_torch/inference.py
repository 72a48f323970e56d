"""Models in inference mode, found again as they were; logits of a whole data set, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from prune_kit.errors import PruneKitError

from .batches import Ids, check_fit, forward, to_device
from .gradients import GradientNorms
from .last_layer import LastLayer
from .sources import Source, as_source


class Batch(NamedTuple):
    """What a model says of some examples."""

    ids: Ids
    """Names of the examples, shape (b,), int64 or strings."""
    labels: Tensor
    """Class indices (b,), or soft labels (b, c), on the model's device."""
    logits: Tensor
    """Shape (b, c), on the model's device, detached."""
    features: Tensor | None = None
    """Inputs of the last linear layer, shape (b, d), where they were asked for."""
    bias: bool = True
    """Whether that layer has a bias."""
    gradient_norms: Tensor | None = None
    """Norm of each example's loss gradient, shape (b,), where it was asked for."""


def device_of(model: nn.Module) -> torch.device:
    """Where the first parameter (or buffer) of `model` is; the CPU if it has none."""
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return torch.device("cpu")


def choose_device(device: str | torch.device | None) -> torch.device:
    """`device`, or CUDA where there is one, else the CPU.

    Raises
    ------
    PruneKitError
        If it is no device, or CUDA that cannot be had.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise PruneKitError(f"`device` must be cpu, cuda or cuda:N; got {device!r}.") from error
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise PruneKitError(
            f"`device` {device} cannot be had: PyTorch sees {torch.cuda.device_count()} CUDA devices.",
            hint="use --device cpu, or a build of PyTorch for your GPU",
        )
    return chosen


@contextmanager
def inference_mode(model: nn.Module) -> Iterator[None]:
    """BatchNorm and dropout as at test time, and no gradients; every module's own mode comes back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def moved_to(model: nn.Module, device: str | torch.device | None) -> Iterator[torch.device]:
    """`model` on `device` (where it is already, if None), and back afterwards."""
    before = device_of(model)
    wanted = before if device is None else choose_device(device)
    if wanted != before:
        model.to(wanted)
    try:
        yield wanted
    finally:
        if wanted != before:
            model.to(before)


def predict(
    model: nn.Module,
    data: Any,
    /,
    *,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    features: bool = False,
) -> Iterator[Batch]:
    """Logits of every example, once, in the data set's own order, in inference mode.

    Parameters
    ----------
    model
        Gives logits of shape (b, c), alone or as `.logits`, ``["logits"]`` or first of a tuple. Its modes,
        gradients and device are found again as they were.
    data
        (inputs, labels[, ids]) as arrays, a Dataset, or a DataLoader (its order and its sampler are not
        used: a shuffled loader gives the same scores as its data set). Without augmentation.
    batch_size
        Examples at a time; by default the DataLoader's own, else 256.
    device
        Where to compute; by default where the model is.
    features
        Whether to give the inputs of the last linear layer too.

    Returns
    -------
    iterator of Batch
        ids, labels, logits and features of up to `batch_size` examples.

    Raises
    ------
    PruneKitError
        If the data, the batches or the logits are not of these forms, or do not fit each other.
    """
    return batches(model, as_source(data), batch_size=batch_size, device=device, features=features)


def batches(
    model: nn.Module,
    source: Source,
    *,
    batch_size: int | None,
    device: str | torch.device | None,
    features: bool = False,
    engine: GradientNorms | None = None,
) -> Iterator[Batch]:
    """What `predict` gives; with an `engine`, gradient norms from the same forward pass too."""
    last_layer = LastLayer(model) if features else None
    with moved_to(model, device) as where:
        for ids, inputs, labels in source.ordered(batch_size):
            inputs, labels = to_device(inputs, where), labels.to(where)
            norms, at_last, has_bias = None, None, True
            # Entered for each batch: what the caller does between two batches is not in this mode.
            with inference_mode(model):
                if last_layer is not None:
                    logits, at_last, has_bias = last_layer.forward(inputs)
                elif engine is None:
                    logits = forward(model, inputs)
            if engine is not None:
                norms, logits = cast(tuple[Tensor, Tensor], engine.with_logits(inputs, labels))
            check_fit(logits, labels)
            yield Batch(ids, labels, logits.detach(), at_last, has_bias, norms)
