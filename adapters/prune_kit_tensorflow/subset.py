"""The kept examples of a data set, as the same kind of data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from prune_kit.arrays import NumpyArray, as_array
from prune_kit.data import Examples
from prune_kit.errors import PruneKitError
from prune_kit.ids import some
from prune_kit.kept_positions import kept_positions

from .example_ids import own_ids
from .kept_elements import kept_elements
from .kept_sequence import KeptSequence


def subset(data: Any, kept: Any, /, *, ids: Any = None) -> Any:
    """Take the kept examples of a data set.

    Parameters
    ----------
    data
        A tf.data.Dataset or a keras.utils.PyDataset, batched or not, `Examples`, or arrays (inputs, labels[,
        ids]).
    kept
        Which examples. An array or list of integers holds positions, as the `keep_` functions return
        them, unless `ids` is given. A path (a file of ids: .parquet, .txt, .npy, .csv), a `ScoreTable` and
        strings hold ids.
    ids
        The ids of all examples of `data`, by which `kept` is looked up, also if it holds integers. By
        default, where `kept` holds ids, those that `score` takes: of `Examples`, the third array, those
        that travel with the examples of a pipeline; where there are none, ids are positions.

    Returns
    -------
    the same kind as `data`
        Of arrays and `Examples` in the order of `kept`. A pipeline and a PyDataset keep their own order, and
        the size of their batches. A pipeline that shuffles is looked up by the ids that travel with its
        examples; any other can be shuffled afterwards.

    Raises
    ------
    PruneKitError
        If `kept` is empty, names an example twice, is out of range, has ids that `data` has not, or is no
        integers; if it is looked up by position, and the data gives other examples at its places in each
        epoch.

    Examples
    --------
    >>> import tensorflow as tf
    >>> data = tf.data.Dataset.from_tensor_slices((tf.range(10), tf.zeros(10, tf.int64)))
    >>> [int(x) for x, _ in subset(data, [2, 5, 7])]
    [2, 5, 7]
    """
    if isinstance(data, Mapping):
        raise PruneKitError(
            f"`data` must be one data set; got a {type(data).__name__} of {some(list(data))}.",
            hint="give one of these: data['train']",
        )
    if isinstance(data, Examples):
        return data.take(kept_positions(kept, len(data), ids=ids, own_ids=lambda: data.ids))
    if isinstance(data, tf.data.Dataset):
        return kept_elements(data, kept, ids=ids)
    if isinstance(data, keras.utils.PyDataset):
        return KeptSequence(data, kept, ids=ids)
    if not isinstance(data, (tuple, list)):
        raise PruneKitError(
            "`data` must be a tf.data.Dataset, a keras.utils.PyDataset, Examples or arrays; "
            f"got {type(data).__name__}.",
            hint="a generator has no positions: tf.data.Dataset.from_generator",
        )
    arrays = _arrays(data)
    positions = kept_positions(kept, len(arrays[0]), ids=ids, own_ids=lambda: own_ids(arrays))
    return type(data)(_taken(each, positions) for each in arrays)


def _arrays(data: tuple[Any, ...] | list[Any]) -> tuple[Any, ...]:
    """The arrays, which rows can be taken of by position: pandas goes by its index."""
    if len(data) not in (2, 3) or not all(hasattr(each, "shape") for each in data):
        raise PruneKitError(
            "arrays must be (inputs, labels) or (inputs, labels, ids).", hint="as for `score`"
        )
    arrays = tuple(each if tf.is_tensor(each) else as_array(each, "data") for each in data)
    if len({len(each) for each in arrays}) > 1:
        raise PruneKitError(
            f"the arrays must have the same length; got {', '.join(str(len(each)) for each in arrays)}."
        )
    return arrays


def _taken(rows: Any, positions: NumpyArray) -> Any:
    return tf.gather(rows, positions) if tf.is_tensor(rows) else rows[positions]
