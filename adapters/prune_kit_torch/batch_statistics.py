"""Running statistics of BatchNorm, taken anew from data for the weights that a model has now."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from prune_kit.errors import PruneKitError

from .batches import forward, to_device
from .inference import inference_mode
from .randomness import seeded
from .sources import Source

_BATCH_SIZE = 256
_SEED = 0


def recompute_batch_statistics(
    model: nn.Module, source: Source, *, batch_size: int | None, device: torch.device
) -> None:
    """Make running means and variances the averages over one pass of shuffled batches, in training mode.

    Batches are shuffled, for those of one class have less variance than the data. Order and dropout are the
    same each time.

    Raises
    ------
    PruneKitError
        If the model has no such statistics, or the batches have but one example.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    if not norms:
        raise PruneKitError(
            f"`recompute_statistics`: {type(model).__name__} has no batch normalisation with running "
            "statistics.",
            hint="leave it out: there is nothing to recompute",
        )
    size = batch_size or _BATCH_SIZE
    if min(size, len(source)) < 2:
        raise PruneKitError(
            "`recompute_statistics` needs batches of 2 examples or more, for one has no variance; "
            f"`batch_size` is {size}, and there are {len(source)} examples."
        )
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # an average over all batches, which forgets none
    try:
        with seeded(_SEED), inference_mode(model):
            model.train()
            for _, inputs, _ in source.shuffled(size, _SEED):
                forward(model, to_device(inputs, device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
