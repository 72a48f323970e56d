"""What a batch is: tuples and dicts of many shapes become ids, inputs and labels; outputs become logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from prune_kit.batch_parts import batch_parts, check_batch_ids, check_label_shape
from prune_kit.batch_parts import check_fit as check_shapes_fit
from prune_kit.errors import PruneKitError, told

Inputs: TypeAlias = Tensor | tuple[Any, ...] | dict[str, Any]
"""One tensor, a tuple of positional arguments, or a dict of keyword arguments of the model."""
Ids: TypeAlias = npt.NDArray[Any]


class RawBatch(NamedTuple):
    """A batch as the data gives it."""

    ids: Ids | None
    """Names of the examples, shape (b,): int64 or strings; None where the data brings none."""
    inputs: Inputs
    labels: Tensor
    """Class indices (b,), or soft labels (b, c)."""


def split_batch(batch: Any) -> RawBatch:
    """Take a batch apart: (x, y), (x, y, ids), or a dict as Hugging Face datasets give it.

    Raises
    ------
    PruneKitError
        If it is none of these.
    """
    parts = batch_parts(batch)
    labels = _as_labels(parts.labels)
    return RawBatch(None if parts.ids is None else _as_ids(parts.ids, len(labels)), parts.inputs, labels)


def _as_labels(labels: Any) -> Tensor:
    tensor = labels if isinstance(labels, Tensor) else torch.as_tensor(np.asarray(labels))
    if tensor.ndim == 2 and tensor.shape[1] == 1 and not tensor.is_floating_point():
        tensor = tensor[:, 0]
    check_label_shape(tuple(tensor.shape))
    return tensor if tensor.is_floating_point() else tensor.long()


def _as_ids(ids: Any, n: int) -> Ids:
    array = ids.cpu().numpy() if isinstance(ids, Tensor) else np.asarray(ids)
    check_batch_ids(array, n)
    return array if array.dtype.kind == "U" else array.astype(np.int64)


def to_device(inputs: Any, device: torch.device, *, channels_last: bool = False) -> Any:
    """`inputs` with every tensor in it on `device`; images (4 dimensions) in channels_last where asked."""
    if isinstance(inputs, Tensor):
        layout = torch.channels_last if channels_last and inputs.ndim == 4 else torch.preserve_format
        return inputs.to(device, non_blocking=True, memory_format=layout)
    if isinstance(inputs, dict):
        return {key: to_device(value, device, channels_last=channels_last) for key, value in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return tuple(to_device(value, device, channels_last=channels_last) for value in inputs)
    return inputs


def call(model: Callable[..., Any], inputs: Inputs) -> Any:
    """What `model` gives for `inputs`: dicts are keyword arguments, tuples positional ones."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    if isinstance(inputs, (tuple, list)):
        return model(*inputs)
    return model(inputs)


def logits_of(output: Any) -> Tensor:
    """The logits in a model's output: a tensor, `.logits`, ["logits"], or the first of a tuple.

    Raises
    ------
    PruneKitError
        If there is no tensor of floating-point numbers at any of these places.
    """
    logits = output
    if isinstance(output, Mapping) and "logits" in output:
        logits = output["logits"]
    elif hasattr(output, "logits"):
        logits = output.logits
    elif isinstance(output, (tuple, list)) and output:
        logits = output[0]
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        what = str(logits.dtype) if isinstance(logits, Tensor) else type(logits).__name__
        raise PruneKitError(
            f"the model must give logits of shape (batch, classes); got {what}.",
            hint="a tensor, an object with .logits, a dict with 'logits', or a tuple that begins with them",
        )
    return logits


def forward(model: nn.Module, inputs: Inputs) -> Tensor:
    """The logits of `model`, whatever it wraps them in; shape (b, c).

    Raises
    ------
    PruneKitError
        If the model cannot take the inputs, or its output holds no tensor of shape (b, c).
    """
    try:
        output = call(model, inputs)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, IndexError) as error:  # what torch raises for shapes that do not fit
        raise PruneKitError(
            f"the model cannot take the data, {_described(inputs)}: {told(error)}.",
            hint="the model and the data must be made for each other",
        ) from error
    logits = logits_of(output)
    if logits.ndim != 2:
        raise PruneKitError(
            f"the model must give logits of shape (batch, classes); got shape {tuple(logits.shape)}.",
            hint="a score is of one example with one label; flatten or pool what there is more of",
        )
    return logits


def _described(inputs: Any) -> str:
    """Shapes and types of what a model was given."""
    if isinstance(inputs, Tensor):
        return f"{str(inputs.dtype).removeprefix('torch.')} of shape {tuple(inputs.shape)}"
    if isinstance(inputs, dict):
        return ", ".join(f"{key}: {_described(value)}" for key, value in inputs.items())
    if isinstance(inputs, (tuple, list)):
        return ", ".join(map(_described, inputs))
    return type(inputs).__name__


def check_fit(logits: Tensor, labels: Tensor) -> None:
    """Refuse logits that do not fit the labels: another number of rows or classes.

    Class indices on a GPU are not looked at: each look would wait for it.
    """
    is_at_hand = labels.ndim == 1 and labels.device.type == "cpu" and len(labels) > 0
    low_and_high = (int(labels.min()), int(labels.max())) if is_at_hand else None
    check_shapes_fit(tuple(logits.shape), tuple(labels.shape), low_and_high)
