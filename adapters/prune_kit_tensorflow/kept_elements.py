"""The kept examples of a tf.data pipeline, as a pipeline."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError
from prune_kit.kept_positions import kept_positions

from .example_ids import ids_of_element, own_ids
from .identified_data import is_identified
from .pipeline_order import check_keeps_order
from .pipelines import is_batched


def kept_elements(dataset: tf.data.Dataset, kept: Any, *, ids: Any) -> tf.data.Dataset:
    """See `subset`; the pipeline's own order and size of batches stay."""
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise PruneKitError(
            "`data` must have a length; got a tf.data.Dataset without end.", hint="call repeat() after it"
        )
    spec = dataset.element_spec
    batched = is_batched_element(dataset)
    found: list[NumpyArray | None] = []

    def of_the_data() -> NumpyArray | None:
        found.append(own_ids(dataset))
        return found[0]

    size, examples = _size_and_examples(dataset, batched)
    positions = kept_positions(kept, examples, ids=ids, own_ids=of_the_data)
    one_by_one = dataset.unbatch() if batched else dataset
    if found and found[0] is not None:
        is_kept = _membership(found[0][positions])
        chosen = one_by_one.filter(lambda *element: is_kept(ids_of_element(_one(element))))
    else:
        check_keeps_order(dataset)
        is_kept = _membership(positions)
        numbered = one_by_one.enumerate().filter(lambda position, _: is_kept(position))
        chosen = numbered.map(lambda _, element: element)
    if ids_of_element(spec) is None or not found:
        chosen = chosen.apply(tf.data.experimental.assert_cardinality(len(positions)))
    return chosen.batch(size) if batched else chosen


def is_batched_element(dataset: tf.data.Dataset) -> bool:
    """Whether elements are batches, also those of a pipeline with ids beside them."""
    spec = dataset.element_spec
    if is_identified(spec):
        return bool(spec[0].shape.rank == 1)
    return is_batched(dataset)


def _size_and_examples(dataset: tf.data.Dataset, batched: bool) -> tuple[int, int]:
    """The size of the first batch, 1 where there are none, and the number of examples: all are read."""
    known = int(dataset.cardinality())
    if not batched:
        return 1, known if known >= 0 else int(dataset.reduce(0, lambda n, *_: n + 1))

    def add(state: tuple[tf.Tensor, tf.Tensor], *element: Any) -> tuple[tf.Tensor, tf.Tensor]:
        first, total = state
        rows = tf.shape(tf.nest.flatten(element)[0], tf.int64)[0]
        return tf.where(first == 0, rows, first), total + rows

    zero = tf.constant(0, tf.int64)
    first, total = dataset.reduce((zero, zero), add)
    return max(1, int(first)), int(total)


def _one(element: tuple[Any, ...]) -> Any:
    return element[0] if len(element) == 1 else element


def _membership(names: NumpyArray) -> Any:
    """Whether a scalar is among `names`, as an operation of a graph."""
    keys = tf.constant(names.tolist() if names.dtype.kind == "U" else names)
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(keys, tf.ones(len(names), tf.int64)), default_value=0
    )
    return lambda name: table.lookup(tf.cast(name, keys.dtype) if keys.dtype != tf.string else name) > 0
