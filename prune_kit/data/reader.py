"""What each kind of data on disk gives, so that it can be read a batch at a time or all at once."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt

from ..arrays import NumpyArray

BLOCK_BYTES = 1 << 19
"""Of features that are decoded together: within a processor's cache."""
Inputs = NumpyArray | dict[str, NumpyArray]
"""One array of n rows, or several by name, as models of text take them."""


def joined(chunks: Sequence[Inputs]) -> Inputs:
    """Put the chunks of a part together again; several inputs by name are decoded whole."""
    if len(chunks) == 1:
        return chunks[0]
    return np.concatenate(cast(Sequence[NumpyArray], chunks))


class InputSpec(NamedTuple):
    """What the input of one example is."""

    shape: tuple[int | None, ...]
    """Without the batch; None where examples differ, and are padded with 0 to the longest of their batch."""
    dtype: np.dtype[np.generic]


class Part(NamedTuple):
    """Consecutive examples, read but not decoded."""

    start: int
    """The position of the first."""
    rows: Any
    """What holds them: has a length, and is cut by slices."""

    def chunks(self, size: int | None) -> list[Part]:
        """Cut into parts of `size` examples at most; None leaves it whole."""
        if size is None:
            return [self]
        return [Part(self.start + at, self.rows[at : at + size]) for at in range(0, len(self.rows), size)]


class Digest(Protocol):
    """What `hashlib` gives."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take in more bytes."""
        ...


class Reader(Protocol):
    """Examples on disk, in their own order.

    Attributes
    ----------
    source : str
        What to call them.
    labels : int64 array of shape (n,), or None
        Class indices; None if the data has no labels.
    ids : NumPy array of shape (n,), or None
        None if ids are positions.
    class_names : tuple of str, or None
        What the classes are called, by index.
    block_rows : int
        How many examples are decoded together where batches are smaller; 1 if each batch is by itself.
    chunk_rows : int or None
        How many examples are worth a thread's while to decode; None if all that is read together is decoded
        together.
    workers : int
        How many threads decode, unless the user says otherwise.
    """

    source: str
    labels: npt.NDArray[np.int64] | None
    ids: NumpyArray | None
    class_names: tuple[str, ...] | None
    block_rows: int
    chunk_rows: int | None
    workers: int

    def __len__(self) -> int: ...

    def spec(self) -> InputSpec | dict[str, InputSpec]:
        """What one example is, found from a few of them."""
        ...

    def parts(self, rows: int, /) -> Generator[Part]:
        """All examples, `rows` at a time, the last part perhaps smaller; for one thread."""
        ...

    def decode(self, part: Part, /) -> Inputs:
        """The inputs of a part; for any thread."""
        ...

    def feed(self, digest: Digest, /) -> None:
        """Feed what tells the inputs from others without reading them all."""
        ...
