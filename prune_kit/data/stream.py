"""A labelled data set on disk, read a batch at a time: memory does not grow with the number of examples."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..arrays import NumpyArray
from ..errors import PruneKitError
from ..ids import check_ids
from .ahead import read_ahead
from .example_checks import check_finite, check_labels, count_classes
from .reader import Inputs, InputSpec, Part, Reader, joined


class ExampleBatch(NamedTuple):
    """Consecutive examples of a data set."""

    ids: NumpyArray
    """Shape (b,), int64 or strings."""
    inputs: Inputs
    """Images: uint8, shape (b, height, width, channels). Features: float32, shape (b, ...), finite. Several
    inputs: a dict of arrays of b rows, int64 or float32, ragged lists filled up with 0."""
    labels: npt.NDArray[np.int64] | None
    """Shape (b,): the index of each example's class; None if the data has no labels."""


class ExampleStream:
    """Examples on disk, as `open_examples` returns them.

    What is said of all examples at once (labels, and ids that are more than positions) is in memory; the
    inputs are read anew by each call of `batches`.

    Attributes
    ----------
    labels : int64 array of shape (n,), or None
        The index of each example's class; None if the data has no labels.
    class_names : tuple of str, or None
        What the classes are called, by index; None if not known.
    source : str
        Where the examples come from.
    spec : InputSpec, or dict of InputSpec by name
        Shape and dtype of the input of one example, found from a few examples.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.source = reader.source
        self.labels = reader.labels
        self.class_names = reader.class_names
        n = len(reader)
        if self.labels is not None:
            check_labels(self.labels, n, self.class_names, self.source)
        self._ids = None if reader.ids is None else check_ids(reader.ids, n, name=f"ids of {self.source}")
        self.spec = reader.spec()
        self._channels = None
        if isinstance(self.spec, InputSpec) and self.spec.dtype == np.uint8:
            self._channels = self.spec.shape[-1]

    def __len__(self) -> int:
        return len(self._reader)

    def __repr__(self) -> str:
        kind = "images" if self.is_images else "examples"
        classes = "" if self.labels is None else f" in {self.num_classes} classes"
        return f"ExampleStream({len(self)} {kind}{classes} from {self.source})"

    @property
    def ids(self) -> NumpyArray:
        """Shape (n,), int64 or strings, each once; made when asked for, where they are positions."""
        return np.arange(len(self)) if self._ids is None else self._ids

    @property
    def is_images(self) -> bool:
        """Whether the inputs are images."""
        return self._channels is not None

    @property
    def num_classes(self) -> int:
        """How many classes there are: as many as have names, else up to the highest label.

        Raises
        ------
        PruneKitError
            If the data has no labels.
        """
        if self.labels is None:
            raise PruneKitError(f"{self.source} has no labels.", hint="name them with label_column or labels")
        return count_classes(self.labels, self.class_names)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of ids, labels and a sample of the inputs, 64 hexadecimal digits.

        Beside the sample it takes in what tells inputs apart without reading them: sizes of image files,
        statistics of the row groups of Parquet. It is not that of the same data loaded into `Examples`.
        """
        digest = hashlib.sha256(f"stream of {len(self)}".encode())
        for array in (self._ids, self.labels):
            if array is None:
                digest.update(b"none")
            elif array.dtype.kind in "UT":  # how wide NumPy stores strings is no part of the data
                digest.update("\0".join(array.tolist()).encode())
            else:
                digest.update(np.ascontiguousarray(array, dtype="<i8").data)
        self._reader.feed(digest)
        return digest.hexdigest()

    def batches(
        self, batch_size: int, /, *, ahead: int = 2, workers: int | None = None
    ) -> Iterator[ExampleBatch]:
        """Go through all examples in the order of the data, `batch_size` at a time, the last batch smaller.

        One thread reads; others decode. They end when the iteration does, early or not.

        Parameters
        ----------
        batch_size
            How many examples a batch has.
        ahead
            How many batches are read and decoded while the consumer works, or blocks of 512 KiB of features
            where batches are smaller; they are held in memory.
        workers
            How many threads decode; by default as many as there are cores for images of some size, else 1.

        Raises
        ------
        StoreError
            If a file is damaged or an image cannot be read; it is named.
        PruneKitError
            If an option is not a whole number above 0, or inputs have gaps, are not finite, or differ in
            shape.
        """
        workers = self._reader.workers if workers is None else workers
        for name, value in {"batch_size": batch_size, "ahead": ahead, "workers": workers}.items():
            if type(value) is not int or value < 1:
                raise PruneKitError(f"`{name}` must be a whole number, at least 1; got {value!r}.")
        return self._batches(batch_size, ahead, workers)

    def _batches(self, batch_size: int, ahead: int, workers: int) -> Generator[ExampleBatch]:
        parts = self._reader.parts(batch_size * max(1, self._reader.block_rows // batch_size))
        chunk_rows = self._reader.chunk_rows
        decoded = read_ahead(parts, self._decode, chunk_rows=chunk_rows, ahead=ahead, workers=workers)
        start = 0
        try:
            for chunks in decoded:
                for inputs in _cut(joined(chunks), batch_size):
                    rows = slice(start, min(start + batch_size, len(self)))
                    labels = None if self.labels is None else self.labels[rows]
                    yield ExampleBatch(self._ids_of(rows), inputs, labels)
                    start = rows.stop
        finally:
            decoded.close()

    def _decode(self, part: Part) -> Inputs:
        inputs = self._reader.decode(part)
        ids = self._ids_of(slice(part.start, part.start + len(part.rows)))
        if isinstance(inputs, dict):
            for array in inputs.values():
                self._check(array, ids)
            return inputs
        self._check(inputs, ids)
        return inputs if self._channels is None else self._with_channels(inputs, self._channels, ids)

    def _check(self, inputs: NumpyArray, ids: NumpyArray) -> None:
        if inputs.dtype == np.float32:
            check_finite(inputs, ids, self.source)

    def _with_channels(self, images: NumpyArray, channels: int, ids: NumpyArray) -> NumpyArray:
        if images.shape[3] == channels:
            return images
        if images.shape[3] == 1:
            return np.repeat(images, channels, axis=3)
        first, last = ids[[0, -1]].tolist()
        raise PruneKitError(
            f"{self.source}: images must be grey where those looked at first are; "
            f"got one with colour from {first!r} to {last!r}.",
            hint="convert them all to RGB or to grey; load_examples does so, in memory",
        )

    def _ids_of(self, rows: slice) -> NumpyArray:
        return np.arange(rows.start, rows.stop) if self._ids is None else self._ids[rows]


def _cut(inputs: Inputs, batch_size: int) -> Iterator[Inputs]:
    if isinstance(inputs, dict):  # a batch already
        yield inputs
    else:
        for at in range(0, len(inputs), batch_size):
            yield inputs[at : at + batch_size]
