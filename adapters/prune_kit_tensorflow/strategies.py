"""What a distribution strategy asks of the size of the batches."""

from __future__ import annotations

import tensorflow as tf

from prune_kit.errors import PruneKitError
from prune_kit.training import Recipe


def replicas_of(
    strategy: tf.distribute.Strategy | None, device: str | None, recipe: Recipe, *, by_fit: bool
) -> int:
    """How many devices share a batch; 1 without a strategy.

    Raises
    ------
    PruneKitError
        If a device is given beside the strategy, or the batches cannot be shared (evenly, for `fit`).
    """
    if strategy is None:
        return 1
    if device is not None:
        raise PruneKitError("`device` must be None where `strategy` is given, which has devices of its own.")
    replicas = int(strategy.num_replicas_in_sync)
    if recipe.batch_size < replicas:
        raise PruneKitError(
            f"`batch_size` must be {replicas} or more, one example for each replica; got {recipe.batch_size}."
        )
    if by_fit and recipe.batch_size % replicas:
        raise PruneKitError(
            f"`batch_size` must be a multiple of {replicas}, the replicas, for `fit`; "
            f"got {recipe.batch_size}."
        )
    return replicas
