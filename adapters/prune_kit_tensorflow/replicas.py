"""The rows of all replicas of a training step, put together inside of it."""

from __future__ import annotations

import tensorflow as tf


def of_all_replicas(rows: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Rows of all replicas by name, the same tensors in each; as they are where there is one replica.

    Keras averages over replicas what a step gives, but for what is one tensor in all of them.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return rows
    joined: dict[str, tf.Tensor] = context.merge_call(_joined, args=(rows,))
    return joined


def _joined(strategy: tf.distribute.Strategy, rows: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {
        name: tf.concat(strategy.experimental_local_results(values), axis=0) for name, values in rows.items()
    }
