"""Whether an example can be known by its place in a tf.data pipeline, as far as the pipeline tells."""

from __future__ import annotations

import tensorflow as tf

from prune_kit.errors import PruneKitError

_CHANGES = {"shuffle": "_ShuffleDataset", "repeat": "_RepeatDataset"}


def check_keeps_order(dataset: tf.data.Dataset) -> None:
    """Refuse a pipeline whose examples are not the same ones at the same places in every epoch.

    Raises
    ------
    PruneKitError
        If it shuffles, repeats or has no end.
    """
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise PruneKitError(
            "`data` must have a length; got a tf.data.Dataset without end.", hint="call repeat() after it"
        )
    for method, kind in _CHANGES.items():
        if _contains(dataset, kind):
            raise PruneKitError(
                f"`data` calls {method}() already: the place of an example does not tell which one it is.",
                hint=f"call it first, and {method}() after it: with_ids(dataset).{method}(...)",
            )


def _contains(dataset: tf.data.Dataset, kind: str) -> bool:
    # Without this private way back through the pipeline there is no telling, and nothing is found.
    following = [dataset]
    while following:
        each = following.pop()
        if type(each).__name__ == kind:
            return True
        following.extend(getattr(each, "_inputs", list)())
    return False
