"""The parts of a batch, or of its type: as in every framework, or with ids in front, as of `with_ids`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from prune_kit.batch_parts import BatchParts, batch_parts


def parts_of(batch: Any) -> BatchParts:
    """Take a batch apart: (x, y), (x, y, ids), a dict with labels under a usual key, or (ids, one of these).

    Raises
    ------
    PruneKitError
        If it is none of these.
    """
    # Labels are one tensor: what holds several is what stands beside ids.
    if isinstance(batch, (tuple, list)) and len(batch) == 2 and tf.nest.is_nested(batch[1]):
        dtype = getattr(batch[0], "dtype", None)
        if dtype is not None and (tf.as_dtype(dtype).is_integer or tf.as_dtype(dtype) == tf.string):
            return batch_parts(batch[1])._replace(ids=batch[0])
    return batch_parts(batch)
