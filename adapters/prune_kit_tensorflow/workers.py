"""The workers that train one model together, as a MultiWorkerMirroredStrategy knows them."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import tensorflow as tf

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError

_TRAINING_TASKS = ("chief", "worker")


class Workers:
    """The processes of a strategy: all others than a MultiWorkerMirroredStrategy have one.

    Parameters
    ----------
    strategy
        What trains.

    Raises
    ------
    PruneKitError
        If TF_CONFIG names several workers and `strategy` does not train in them.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        is_multi_worker = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        resolver: Any = (
            strategy.cluster_resolver
            if is_multi_worker
            else tf.distribute.cluster_resolver.TFConfigClusterResolver()
        )
        tasks = resolver.cluster_spec().as_dict() if resolver is not None else {}
        trainers = [(kind, i) for kind in _TRAINING_TASKS for i in range(len(tasks.get(kind, ())))]
        if len(trainers) > 1 and not is_multi_worker:
            raise PruneKitError(
                f"TF_CONFIG names {len(trainers)} workers, and the recorder is made in the scope of "
                f"{type(strategy).__name__}: each worker would write what it alone has seen.",
                hint="make the recorder inside strategy.scope() of a MultiWorkerMirroredStrategy",
            )
        self.size = max(1, len(trainers))
        """See `prune_kit.peers.Peers.size`."""
        # A recorder goes into a pickle, which no strategy does.
        self._strategy: Any = strategy if self.size > 1 else None
        self.rank = trainers.index((resolver.task_type, resolver.task_id)) if self.size > 1 else 0
        """See `prune_kit.peers.Peers.rank`."""

    def gather(self, value: Any, /) -> list[Any]:
        """See `prune_kit.peers.Peers.gather`; NumPy arrays keep their types, ids of int64 included."""
        if self.size == 1:
            return [value]
        content = pickle.dumps(value)
        # In words of 4 bytes, the smallest that collective operations take; what follows a pickle is ignored.
        words = np.frombuffer(content + bytes(-len(content) % 4), np.int32)
        sizes = self._joined(np.array([len(words)], np.int32))
        parts = np.split(self._joined(words), np.cumsum(sizes)[:-1])
        return [pickle.loads(part.tobytes()) for part in parts]  # noqa: S301 - of the workers themselves

    def _joined(self, own: NumpyArray) -> NumpyArray:
        """The arrays of all workers, by rank, one after the other."""
        replicas = self._strategy.num_replicas_in_sync // self.size
        values = self._strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(own if context.replica_id_in_sync_group % replicas == 0 else own[:0])
        )
        joined: NumpyArray = self._strategy.gather(values, axis=0).numpy()
        return joined
