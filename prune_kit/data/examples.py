"""A labelled data set as plain arrays, which every adapter can take."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..arrays import NumpyArray, as_array, to_numpy
from ..errors import PruneKitError
from ..id_index import IdIndex
from ..ids import check_ids
from .example_checks import blocks, check_finite, check_inputs, check_labels, count_classes
from .images import resize_images


@dataclass(frozen=True, eq=False, repr=False)
class Examples:
    """Inputs, labels and ids of a data set, one row per example.

    Parameters
    ----------
    inputs
        Images: uint8, shape (n, height, width, channels), one channel if grey. Features: float32,
        shape (n, d) or (n, ...), finite. May be memory-mapped.
    labels
        Shape (n,), int64: the index of each example's class.
    ids
        Shape (n,), int64 or strings, each once.
    class_names
        What the classes are called, by index; None if not known.
    source
        Where the examples come from.

    Raises
    ------
    PruneKitError
        If the arrays are not as described, differ in length, or hold no example.
    """

    inputs: NumpyArray
    labels: npt.NDArray[np.int64]
    ids: NumpyArray
    class_names: tuple[str, ...] | None
    source: str

    def __post_init__(self) -> None:
        check_inputs(self.inputs.dtype, self.inputs.shape, self.source)
        check_labels(self.labels, len(self.inputs), self.class_names, self.source)
        ids = check_ids(self.ids, len(self.inputs), name=f"ids of {self.source}")
        object.__setattr__(self, "ids", ids)
        if self.inputs.dtype == np.float32:
            check_finite(self.inputs, ids, self.source)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        kind = "images" if self.is_images else "examples"
        shape = " x ".join(map(str, self.inputs.shape[1:]))
        return f"Examples({len(self)} {kind} of {shape} in {self.num_classes} classes from {self.source})"

    @property
    def is_images(self) -> bool:
        """Whether the inputs are images."""
        return bool(self.inputs.dtype == np.uint8)

    @property
    def num_classes(self) -> int:
        """How many classes there are: as many as have names, else up to the highest label."""
        return count_classes(self.labels, self.class_names)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of ids, labels and inputs, 64 hexadecimal digits: equal data, equal fingerprint."""
        digest = hashlib.sha256()
        for array in (self.ids, self.labels, self.inputs):
            if array.dtype.kind in "UT":  # how wide NumPy stores strings is no part of the data
                digest.update(f"strings {array.shape}".encode())
                digest.update("\0".join(array.tolist()).encode())
            else:
                digest.update(f"{array.dtype.newbyteorder('<').str} {array.shape}".encode())
                for block in blocks(array):
                    digest.update(np.ascontiguousarray(block, dtype=array.dtype.newbyteorder("<")).data)
        return digest.hexdigest()

    def take(self, positions: object, /) -> Examples:
        """Return the examples at `positions`, in that order.

        Parameters
        ----------
        positions
            Shape (k,), integers from 0 to n - 1, each once: what the `keep_` functions return.

        Raises
        ------
        PruneKitError
            If the positions are not such integers, or there are none.
        """
        chosen = to_numpy(as_array(positions, "positions"))
        if chosen.ndim != 1 or chosen.size == 0 or chosen.dtype.kind not in "iu":
            raise PruneKitError(
                f"`positions` must be integers of shape (k,), k at least 1; "
                f"got shape {chosen.shape}, dtype {chosen.dtype}.",
                hint="turn a mask into positions with numpy.flatnonzero(mask)"
                if chosen.dtype == bool
                else None,
            )
        if chosen.min() < 0 or chosen.max() >= len(self):
            raise PruneKitError(
                f"`positions` must be from 0 to {len(self) - 1}; got {chosen.min()} to {chosen.max()}.",
                hint="to choose by id, use positions_of(ids)",
            )
        return replace(self, inputs=self.inputs[chosen], labels=self.labels[chosen], ids=self.ids[chosen])

    def resized(self, image_size: int, /) -> Examples:
        """Return the same images with the short side resized to `image_size` and the centre cut out."""
        if not self.is_images:
            raise PruneKitError(f"{self.source} has features, not images.", hint="leave image_size out")
        return replace(self, inputs=resize_images(self.inputs, image_size))

    def positions_of(self, ids: object, /) -> npt.NDArray[np.int64]:
        """Return where the examples called `ids` are, in the order of `ids`.

        Raises
        ------
        PruneKitError
            If an id is not there (some are named), or given twice.
        """
        return IdIndex(self.ids).positions(check_ids(ids), where=self.source)
