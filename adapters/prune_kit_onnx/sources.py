"""What data may be: a stream of files, Examples, arrays, or batches; read in its own order, ids at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from prune_kit import identity
from prune_kit.arrays import NumpyArray, as_array, to_numpy
from prune_kit.batch_parts import batch_parts, check_batch_ids, check_label_shape
from prune_kit.data import Examples, ExampleStream
from prune_kit.errors import PruneKitError

from .layout import channels_last

Inputs: TypeAlias = NumpyArray | tuple[NumpyArray, ...] | dict[str, NumpyArray]
"""One array of b rows, several in the order of the model's inputs, or several by name."""


class SourceBatch(NamedTuple):
    """Some examples, as NumPy arrays."""

    ids: NumpyArray
    """Shape (b,), int64 or strings."""
    inputs: Inputs
    """Images of bytes have shape (b, height, width, channels)."""
    labels: NumpyArray
    """Class indices (b,), or soft labels (b, c)."""


class Source(Protocol):
    """Examples that can be read, more than once, in the data set's own order."""

    @property
    def size(self) -> int | None:
        """How many examples there are, where that is known before they are read."""
        ...

    @property
    def is_images(self) -> bool:
        """Whether the inputs are images of bytes."""
        ...

    def batches(self, batch_size: int) -> Iterator[SourceBatch]:
        """Every example once, in the data set's own order."""
        ...

    def identity(self) -> tuple[int, str]:
        """How many examples there are, and what tells this data from other data, as hexadecimal digits."""
        ...


def as_source(data: Any) -> Source:
    """`data` as a `Source`.

    Parameters
    ----------
    data
        A stream of `prune_kit.data.open_examples`; Examples of the core; (inputs, labels) or (inputs,
        labels, ids) as arrays; or a collection of batches (such as a DataLoader), each (inputs, labels),
        (inputs, labels, ids) or a dict with labels. Several inputs are a dict by name, or a tuple in the
        order of the model's. Ids are positions where the data brings none.

    Raises
    ------
    PruneKitError
        If it is none of these, or is empty.
    """
    source: Source
    if isinstance(data, (ArraySource, StreamSource, BatchesSource)):
        return data
    if isinstance(data, ExampleStream):
        source = StreamSource(data)
    elif isinstance(data, Examples):
        source = ArraySource(data.inputs, data.labels, data.ids, digest=data.fingerprint)
    elif _is_arrays(data):
        parts = batch_parts(data)
        source = ArraySource(parts.inputs, parts.labels, parts.ids)
    elif isinstance(data, Iterable) and not isinstance(data, (str, bytes)):
        source = BatchesSource(data)
    else:
        raise PruneKitError(
            "`data` must be a stream of open_examples, a pair of arrays (inputs, labels), or batches of "
            f"these; got {type(data).__name__}.",
            hint="files are opened with prune_kit.data.open_examples(path)",
        )
    if source.size == 0:
        raise PruneKitError("`data` has no examples.")
    return source


class StreamSource:
    """Examples on disk, read and decoded ahead.

    Parameters
    ----------
    stream
        As `open_examples` gives it; it must have labels.
    """

    def __init__(self, stream: ExampleStream) -> None:
        if stream.labels is None:
            raise PruneKitError(
                f"{stream.source} has no labels.", hint="name them with label_column or labels"
            )
        self._stream = stream
        self.size: int | None = len(stream)
        self.is_images = stream.is_images

    def batches(self, batch_size: int) -> Iterator[SourceBatch]:
        """See `Source.batches`."""
        for ids, inputs, labels in self._stream.batches(batch_size):
            assert labels is not None
            yield SourceBatch(ids, inputs, labels)

    def identity(self) -> tuple[int, str]:
        """See `Source.identity`."""
        return len(self._stream), self._stream.fingerprint


class ArraySource:
    """Examples held as arrays.

    Parameters
    ----------
    inputs, labels
        Arrays of n rows; `inputs` may be a tuple or dict of them.
    ids
        Names of the examples; positions by default.
    digest
        The fingerprint, where it is known already.
    """

    def __init__(self, inputs: Any, labels: Any, ids: Any = None, digest: str | None = None) -> None:
        self._all = _as_batch(inputs, labels, ids, 0)
        self._digest = digest
        self.size: int | None = len(self._all.labels)
        self.is_images = _are_images(self._all.inputs)

    def batches(self, batch_size: int) -> Iterator[SourceBatch]:
        """See `Source.batches`."""
        yield from _pieces(self._all, batch_size)

    def identity(self) -> tuple[int, str]:
        """See `Source.identity`: SHA-256 of ids, labels and inputs."""
        if self._digest is None:
            digest = hashlib.sha256()
            identity.feed(digest, tuple(self._all))
            self._digest = digest.hexdigest()
        return len(self._all.labels), self._digest


class BatchesSource:
    """Batches that come one after the other.

    Parameters
    ----------
    batches
        A collection that can be gone through more than once; or an iterator, which gives them once.
    """

    size = None

    def __init__(self, batches: Iterable[Any]) -> None:
        self._once = isinstance(batches, Iterator)
        self._given: Iterable[Any] | None = batches
        self._first: SourceBatch | None = None
        self._is_shuffled = _is_shuffled(batches)

    @cached_property
    def is_images(self) -> bool:
        """See `Source.is_images`: what the first batch has."""
        if self._once:
            return False  # looking would take it away
        first = next(iter(self.batches(1)), None)
        return first is not None and _are_images(first.inputs)

    def batches(self, batch_size: int) -> Iterator[SourceBatch]:
        """See `Source.batches`; batches that are larger are cut."""
        if self._given is None:
            raise PruneKitError(
                "`data` is an iterator, whose batches can be gone through once.",
                hint="give a list of batches, or an object whose __iter__ begins anew",
            )
        given = self._given
        if self._once:
            self._given = None
        position = 0
        for each in given:
            parts = batch_parts(each)
            if parts.ids is None and self._is_shuffled:
                raise PruneKitError(
                    "`data` shuffles, and its batches bring no ids: scores would belong to other examples.",
                    hint="give batches of (inputs, labels, ids), or shuffle=False",
                )
            batch = _as_batch(parts.inputs, parts.labels, parts.ids, position)
            position += len(batch.labels)
            yield from _pieces(batch, batch_size)

    def identity(self) -> tuple[int, str]:
        """See `Source.identity`: SHA-256 of all that is in the batches."""
        digest = hashlib.sha256()
        n = 0
        for batch in self.batches(1):  # so that the size of the batches makes no difference
            n += len(batch.labels)
            identity.feed(digest, tuple(batch))
        if not n:
            raise PruneKitError("`data` has no examples.")
        return n, digest.hexdigest()


def _is_arrays(data: Any) -> bool:
    if isinstance(data, Mapping):
        return True
    is_pair = isinstance(data, (tuple, list)) and len(data) in (2, 3)
    return (
        is_pair
        and all(_is_array(each) for each in data[1:])
        and (
            _is_array(data[0])
            or isinstance(data[0], Mapping)
            or (isinstance(data[0], (tuple, list)) and all(map(_is_array, data[0])) and len(data[0]) > 0)
        )
    )


def _is_array(x: Any) -> bool:
    return hasattr(x, "shape") or hasattr(x, "__array__")


def _is_shuffled(batches: Any) -> bool:
    """Whether a DataLoader goes through its data in another order than the data set's own."""
    sampler = getattr(batches, "sampler", None)
    return sampler is not None and type(sampler).__name__ != "SequentialSampler"


def _as_batch(inputs: Any, labels: Any, ids: Any, position: int) -> SourceBatch:
    checked = _as_labels(labels)
    n = len(checked)
    arrays = _as_inputs(inputs)
    for array in _each(arrays):
        if array.ndim == 0 or len(array) != n:
            raise PruneKitError(
                f"inputs and labels must have the same length; got {len(np.atleast_1d(array))} inputs "
                f"and {n} labels."
            )
    names = np.arange(position, position + n) if ids is None else to_numpy(as_array(ids, "ids"))
    check_batch_ids(names, n)
    return SourceBatch(names if names.dtype.kind == "U" else names.astype(np.int64), arrays, checked)


def _as_labels(labels: Any) -> NumpyArray:
    array = to_numpy(as_array(labels, "labels"))
    if array.ndim == 2 and array.shape[1] == 1 and array.dtype.kind != "f":
        array = array[:, 0]
    check_label_shape(array.shape)
    return array


def _as_inputs(inputs: Any) -> Inputs:
    if isinstance(inputs, Mapping):
        return {str(name): _as_input(each) for name, each in inputs.items()}
    if isinstance(inputs, (tuple, list)):
        return tuple(_as_input(each) for each in inputs)
    array = _as_input(inputs)
    return channels_last(array) if _are_images(array) else array


def _as_input(array: Any) -> NumpyArray:
    values = to_numpy(as_array(array, "inputs"))
    if values.dtype.kind not in "fiub":
        raise PruneKitError(
            f"inputs must be numbers; got dtype {values.dtype}.",
            hint="encode text first, and give input_ids, attention_mask ... as a dict of arrays",
        )
    return values


def _are_images(inputs: Inputs) -> bool:
    return isinstance(inputs, np.ndarray) and inputs.dtype == np.uint8 and inputs.ndim == 4


def _each(inputs: Inputs) -> Iterable[NumpyArray]:
    if isinstance(inputs, dict):
        return inputs.values()
    return inputs if isinstance(inputs, tuple) else (inputs,)


def _rows_of(inputs: Inputs, rows: slice) -> Inputs:
    if isinstance(inputs, dict):
        return {name: each[rows] for name, each in inputs.items()}
    return tuple(each[rows] for each in inputs) if isinstance(inputs, tuple) else inputs[rows]


def _pieces(batch: SourceBatch, size: int) -> Iterator[SourceBatch]:
    for start in range(0, len(batch.labels), size):
        rows = slice(start, start + size)
        yield SourceBatch(batch.ids[rows], _rows_of(batch.inputs, rows), batch.labels[rows])
