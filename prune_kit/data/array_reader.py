"""Arrays that are mapped or held, as they are read a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..arrays import NumpyArray
from ..errors import PruneKitError
from .array_files import reading
from .example_checks import check_inputs
from .images import CHUNK, resize_images
from .inputs import as_inputs, as_named_input, check_array
from .reader import BLOCK_BYTES, Digest, Inputs, InputSpec, Part

Opening = Callable[[], NumpyArray]
_SAMPLES = 64
_SAMPLE_BYTES = 1 << 18


class ArrayReader:
    """Arrays of n rows, opened again for each part, so that what was mapped is let go; see `Reader`.

    Parameters
    ----------
    opening
        What opens the array; or several by name.
    labels, ids, class_names, source
        See `Reader`.
    image_size
        Resize the short side of images to it, and cut out the centre.

    Raises
    ------
    PruneKitError
        If the arrays are no inputs, or differ in length.
    """

    def __init__(
        self,
        opening: Opening | Mapping[str, Opening],
        labels: npt.NDArray[np.int64] | None,
        ids: NumpyArray | None,
        class_names: tuple[str, ...] | None,
        source: str,
        *,
        image_size: int | None,
    ) -> None:
        self._opening = opening
        self._image_size = image_size
        self.labels, self.ids, self.class_names, self.source = labels, ids, class_names, source
        self.workers, self.block_rows = 1, 1
        self.chunk_rows = None if image_size is None else CHUNK
        self._rows = self._check(opening) if callable(opening) else self._check_named(opening)

    def __len__(self) -> int:
        return self._rows

    def spec(self) -> InputSpec | dict[str, InputSpec]:
        """See `Reader.spec`."""
        first = self.decode(Part(0, range(1)))
        if isinstance(first, dict):
            return {name: InputSpec(array.shape[1:], array.dtype) for name, array in first.items()}
        return InputSpec(first.shape[1:], first.dtype)

    def parts(self, rows: int, /) -> Generator[Part]:
        """See `Reader.parts`; the arrays are read when they are decoded."""
        for start in range(0, len(self), rows):
            yield Part(start, range(start, min(start + rows, len(self))))

    def decode(self, part: Part, /) -> Inputs:
        """See `Reader.decode`."""
        rows = slice(part.rows.start, part.rows.stop)
        if not callable(self._opening):
            return {
                name: as_named_input(self._read(opening, rows), name, self.source)
                for name, opening in self._opening.items()
            }
        inputs = as_inputs(self._read(self._opening, rows))
        return inputs if self._image_size is None else resize_images(inputs, self._image_size)

    def feed(self, digest: Digest, /) -> None:
        """See `Reader.feed`: 16 MiB of each array, in 64 pieces evenly spread."""
        digest.update(f"arrays {self._image_size}".encode())
        named = {"": self._opening} if callable(self._opening) else self._opening
        for name, opening in named.items():
            array = opening()
            digest.update(f"{name} {array.dtype.newbyteorder('<').str} {array.shape}".encode())
            rows = max(1, _SAMPLE_BYTES * len(array) // max(array.nbytes, 1))
            for start in np.unique(np.linspace(0, max(0, len(array) - rows), _SAMPLES).astype(int)):
                piece = self._read(opening, slice(start, start + rows))
                digest.update(np.ascontiguousarray(piece, dtype=piece.dtype.newbyteorder("<")).data)

    def _read(self, opening: Opening, rows: slice) -> NumpyArray:
        with reading(Path(self.source)):
            return np.array(opening()[rows])

    def _check(self, opening: Opening) -> int:
        array = opening()
        check_array(array, self.source)
        converted = as_inputs(array[:1])
        check_inputs(converted.dtype, (len(array), *converted.shape[1:]), self.source)
        if self._image_size is not None and converted.dtype != np.uint8:
            raise PruneKitError(f"{self.source} has features, not images.", hint="leave image_size out")
        if self._image_size is None:
            self.block_rows = max(1, BLOCK_BYTES // converted.nbytes)
        return len(array)

    def _check_named(self, opening: Mapping[str, Opening]) -> int:
        if self._image_size is not None:
            raise PruneKitError(f"{self.source} has several inputs, not images.", hint="leave image_size out")
        arrays = {name: each() for name, each in opening.items()}
        lengths = {}
        for name, array in arrays.items():
            as_named_input(array[:1] if array.ndim else array, name, self.source)
            lengths[name] = len(array) if array.ndim else 0
        if len(set(lengths.values())) > 1 or 0 in lengths.values():
            raise PruneKitError(
                f"{self.source}: inputs must have one row per example, at least one; got {lengths}.",
                hint="save arrays of the same length",
            )
        return next(iter(lengths.values()))
