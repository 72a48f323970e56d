"""Examples held as arrays in the memory of the host, or mapped from a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from prune_kit.arrays import NumpyArray, as_array, to_numpy
from prune_kit.data import Examples
from prune_kit.errors import PruneKitError
from prune_kit.identity import feed
from prune_kit.standardise import channel_moments

from .batches import Ids, Inputs, RawBatch, split_batch


def from_examples(examples: Examples, *, like: Any = None) -> ArraySource:
    """Examples of the core; images are standardised, channel by channel, when they are read.

    With the moments of the images that `like` was made of, where that is a source of such, else with
    their own.
    """
    inputs = examples.inputs
    if inputs.dtype != np.uint8 or inputs.ndim != 4:
        return ArraySource(inputs, examples.labels, examples.ids, digest=examples.fingerprint)
    standardise = like.prepare if isinstance(like, ArraySource) else None
    standardise = standardise or Standardise(*channel_moments(inputs))
    return ArraySource(inputs, examples.labels, examples.ids, standardise, examples.fingerprint)


class Standardise:
    """Bytes to floats with mean 0 and standard deviation 1 per channel, as the paper's recipe has it."""

    def __init__(self, mean: NumpyArray, std: NumpyArray) -> None:
        self.mean = mean.astype(np.float32)
        self.std = std.astype(np.float32)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Images of shape (b, height, width, channels) as float32; eagerly or inside a tf.function."""
        return (tf.cast(images, tf.float32) - self.mean) / self.std


class ArraySource:
    """Examples held as arrays.

    Parameters
    ----------
    inputs, labels
        Arrays of n rows. NumPy float64 becomes Keras' default float type; tensors keep theirs.
    ids
        Names of the examples; positions by default.
    prepare
        What makes a batch of `inputs` the model's input.
    digest
        The fingerprint, where it is known already.
    """

    def __init__(
        self,
        inputs: Any,
        labels: Any,
        ids: Any = None,
        prepare: Callable[[tf.Tensor], tf.Tensor] | None = None,
        digest: str | None = None,
    ) -> None:
        self._is_tensor = tf.is_tensor(inputs)
        self.rows = _as_rows(inputs)
        """The inputs as they are held, NumPy; `prepare`, where it is not None, makes them the model's."""
        self.prepare = prepare
        self._digest = digest
        n = len(self.rows)
        if len(labels) != n:
            raise PruneKitError(
                f"inputs and labels must have the same length; got {n} inputs and {len(labels)} labels."
            )
        if n == 0:
            raise PruneKitError("`data` has no examples.")
        batch = split_batch((self.rows, labels, np.arange(n) if ids is None else ids))
        self._labels, self._ids = batch.labels, batch.ids

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> tf.Tensor:
        """See `Source.labels`."""
        return self._labels

    @property
    def inputs(self) -> tf.Tensor:
        """What the model sees of all examples; for small data only."""
        return self._batch(slice(None))

    def _batch(self, rows: NumpyArray | slice) -> tf.Tensor:
        inputs = self.rows[rows]
        if inputs.dtype == np.float64 and not self._is_tensor:
            inputs = inputs.astype(keras.config.floatx())
        tensor = tf.convert_to_tensor(inputs)
        return tensor if self.prepare is None else self.prepare(tensor)

    def ordered(self, batch_size: int | None) -> Iterator[tuple[Ids, Inputs, tf.Tensor]]:
        """See `Source.ordered`."""
        step = batch_size or 256
        for start in range(0, len(self), step):
            rows = slice(start, start + step)
            assert self._ids is not None
            yield self._ids[rows], self._batch(rows), self._labels[rows]

    def shuffled(self, batch_size: int, seed: int) -> Iterator[RawBatch]:
        """See `Source.shuffled`."""
        order = self.order(seed)
        for start in range(0, _whole_batches(len(self), batch_size), batch_size):
            rows = order[start : start + batch_size]
            yield RawBatch(None, self._batch(rows), tf.gather(self._labels, rows))

    def order(self, seed: int) -> NumpyArray:
        """The positions of all examples in the order that `seed` gives, shape (n,), int64."""
        return np.random.default_rng(seed).permutation(len(self))

    def steps(self, batch_size: int) -> int:
        """See `Source.steps`."""
        return max(1, len(self) // batch_size)

    def fingerprint(self) -> str:
        """SHA-256 of ids, labels and inputs."""
        if self._digest is None:
            digest = hashlib.sha256()
            feed(digest, (self._ids, self._labels, self.rows))
            self._digest = digest.hexdigest()
        return self._digest


def _whole_batches(n: int, batch_size: int) -> int:
    """How many of `n` examples an epoch takes: a ragged last batch is left out unless it is the only one."""
    return n - n % batch_size if n > batch_size else n


def _as_rows(inputs: Any) -> NumpyArray:
    array = np.asarray(inputs) if tf.is_tensor(inputs) else to_numpy(as_array(inputs, "inputs"))
    # Not by its kind: that of bfloat16 is one of NumPy's own making.
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise PruneKitError(
            f"inputs must be numbers; got dtype {array.dtype}.",
            hint="encode text first; give a tf.data.Dataset of dicts for a model that takes several inputs",
        )
    return array
