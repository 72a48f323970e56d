"""A first look before anything is written: the model is made once and shown a few of the examples."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from prune_kit.errors import PruneKitError

from .batches import check_fit, forward, to_device
from .inference import inference_mode
from .randomness import seeded
from .sources import Source

_EXAMPLES = 2


def try_model(make_model: Callable[[], nn.Module], source: Source, *, trains: bool) -> nn.Module:
    """Make a model and pass it the first examples, on the CPU, where every misfit has a clear error.

    Parameters
    ----------
    make_model
        Makes a model with new weights.
    source
        The examples; the labels of all of them are looked at where they are at hand.
    trains
        Whether the model is to be trained.

    Returns
    -------
    nn.Module
        That model.

    Raises
    ------
    PruneKitError
        If `make_model` gives no module, or one without parameters (to train), or one that does not fit
        the inputs or the labels.
    """
    with seeded(0):
        model = make_model()
    if not isinstance(model, nn.Module):
        raise PruneKitError(
            f"`make_model` must return a torch.nn.Module; got {type(model).__name__}.",
            hint="give a function without arguments, such as `lambda: MyModel(num_classes=10)`",
        )
    parameters = list(model.parameters())
    if not parameters or (trains and not any(parameter.requires_grad for parameter in parameters)):
        raise PruneKitError(
            f"the model must have parameters{' that require gradients' if parameters else ''}; "
            f"{type(model).__name__} has none.",
            hint="there is nothing to train, and every checkpoint of it is the same",
        )
    if any(parameter.device.type != "cpu" for parameter in parameters):  # made where the user wants it
        return model
    cpu = torch.device("cpu")
    _, inputs, labels = next(iter(source.ordered(_EXAMPLES)))
    with seeded(0), inference_mode(model):
        logits = forward(model, to_device(inputs, cpu))
    check_fit(logits, labels.cpu())
    every_label = source.labels
    if every_label is not None and every_label.ndim == 1:
        check_fit(logits[:1].expand(len(every_label), -1), every_label.cpu())
    return model
