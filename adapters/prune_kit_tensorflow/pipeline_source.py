"""Examples of a tf.data pipeline, in the order in which it gives them, with ids where these travel along."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from prune_kit.errors import PruneKitError

from .batches import Ids, Inputs, RawBatch, split_batch
from .framework_errors import shortly_told
from .parts import parts_of
from .pipelines import is_batched, lost_examples
from .readings import Reading, Readings

_BATCH_SIZE = 256


class PipelineSource:
    """Examples of a tf.data.Dataset, batched or not, of (x, y), (x, y, id) or dicts.

    Ids may travel with the examples, as the third part, in a dict, or as `with_ids` has them. Where they do
    not, an example is known by its place. So that these are no others at another time, such a pipeline is
    read through once before anything is done with it, and every reading is held against the first.

    Parameters
    ----------
    dataset
        Of finite length. It is used as it is: nothing is shuffled for training, which is the pipeline's own
        matter.
    """

    def __init__(self, dataset: tf.data.Dataset) -> None:
        if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise PruneKitError(
                "`data` must have a length; got a tf.data.Dataset without end.",
                hint="remove repeat(): every example is scored once",
            )
        self._dataset = dataset
        self._brings_ids = parts_of(dataset.element_spec).ids is not None
        self._is_batched = is_batched(dataset)
        if lost := lost_examples(dataset):
            raise PruneKitError(
                f"`data` leaves out its last {lost} examples: it is batched with drop_remainder=True.",
                hint="batch with drop_remainder=False, so that every example has a score",
            )
        self._readings = Readings(known_by_order=not self._brings_ids)

    @property
    def labels(self) -> None:
        """See `Source.labels`: not known without reading every example."""

    def __len__(self) -> int:
        known = int(self._dataset.cardinality())
        if self._readings.first is None and known >= 0 and not self._is_batched:
            return known
        return self._surveyed()

    def _surveyed(self) -> int:
        """The number of examples, which are all read where that was not done yet."""
        if self._readings.first is None:
            if not self._brings_ids:
                self._compare_first_batches()
            for _ in self._read(None):
                pass
        assert self._readings.first is not None
        return self._readings.first.examples

    def _compare_first_batches(self) -> None:
        """Most pipelines that shuffle are found out by their first batch, before all is read."""
        glances = Readings(known_by_order=True)
        for _ in range(2):
            reading = Reading()
            for ids, inputs, labels in self._numbered(self._batched(None).take(1)):
                reading.add(ids, labels.numpy(), _parts(inputs))
            glances.check(reading.summary())

    def _batched(self, batch_size: int | None) -> tf.data.Dataset:
        if not self._is_batched:
            return self._dataset.batch(batch_size or _BATCH_SIZE)
        return self._dataset if batch_size is None else self._dataset.rebatch(batch_size)

    def _numbered(self, batched: tf.data.Dataset) -> Iterator[tuple[Ids, Inputs, tf.Tensor]]:
        position = 0
        for batch in _told(batched.prefetch(tf.data.AUTOTUNE)):
            ids, inputs, labels = split_batch(batch)
            n = len(labels)
            yield np.arange(position, position + n) if ids is None else ids, inputs, labels
            position += n

    def _read(self, batch_size: int | None) -> Iterator[tuple[Ids, Inputs, tf.Tensor]]:
        reading = Reading()
        for ids, inputs, labels in self._numbered(self._batched(batch_size)):
            reading.add(ids, labels.numpy(), _parts(inputs))
            yield ids, inputs, labels
        summary = reading.summary()
        if summary.examples == 0 and self._readings.first is None:
            raise PruneKitError("`data` has no examples.")
        self._readings.check(summary)

    def ordered(self, batch_size: int | None) -> Iterator[tuple[Ids, Inputs, tf.Tensor]]:
        """See `Source.ordered`; examples whose ids travel with them come as the pipeline has them."""
        if not self._brings_ids:
            self._surveyed()
        yield from self._read(batch_size)

    def shuffled(self, batch_size: int, seed: int) -> Iterator[RawBatch]:
        """See `Source.shuffled`; the pipeline is used as it is, in batches of its own where it has them."""
        dataset = self._dataset
        if not self._is_batched:
            dataset = dataset.batch(batch_size, drop_remainder=len(self) > batch_size)
        for batch in _told(dataset.prefetch(tf.data.AUTOTUNE)):
            yield split_batch(batch)

    def steps(self, batch_size: int) -> int:
        """See `Source.steps`."""
        if not self._is_batched:
            return max(1, len(self) // batch_size)
        return self._number_of_batches

    @cached_property
    def _number_of_batches(self) -> int:
        known = int(self._dataset.cardinality())
        return known if known >= 0 else int(self._dataset.reduce(0, lambda count, *_: count + 1))

    def fingerprint(self) -> str:
        """SHA-256 of all ids and labels and of the inputs of up to 64 examples.

        Warns if an example that brings an id is another one when it is read again: scores need data without
        augmentation.
        """
        self._surveyed()
        if self._brings_ids:
            for _ in self._read(None):
                pass
        return self._readings.fingerprint()


def _parts(inputs: Inputs) -> list[Any]:
    return [np.asarray(part) for part in tf.nest.flatten(inputs, expand_composites=True)]


def _told(dataset: tf.data.Dataset) -> Iterator[Any]:
    """The elements; what goes wrong while reading is told in one line."""
    elements = iter(dataset)
    while True:
        try:
            element = next(elements)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            raise PruneKitError(f"`data` cannot be read: {shortly_told(error)}.") from error
        yield element
