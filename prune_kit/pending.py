"""Batches that wait, where they are, to be scored together, so that no training step waits for a device."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .arrays import Array, NumpyArray, as_array, beside, device_of, namespace, on_host, to_numpy
from .checks import check_labels, check_logits
from .errors import PruneKitError

HOST_ELEMENTS = 1 << 18
"""Logits that wait in host memory: 1 MiB in float32."""

DEVICE_ELEMENTS = 1 << 23
"""Logits that wait on a device, which is asked for values once they are so many: 32 MiB in float32."""


class Waiting(NamedTuple):
    """Rows of several batches, in the order in which they came."""

    ids: NumpyArray
    steps: NumpyArray
    logits: Array
    labels: Array


class Pending:
    """Copies of batches, checked by shape and type alone until they are taken."""

    def __init__(self) -> None:
        self._batches: list[tuple[Array, int, Array, Array]] = []
        self._elements = 0

    @property
    def rows(self) -> int:
        """How many rows wait."""
        return sum(int(logits.shape[0]) for _, _, logits, _ in self._batches)

    @property
    def is_full(self) -> bool:
        """Whether what waits should be taken before more comes."""
        if not self._batches:
            return False
        limit = HOST_ELEMENTS if on_host(self._batches[0][2]) else DEVICE_ELEMENTS
        return self._elements >= limit

    def fits(self, logits: Array, labels: Array) -> bool:
        """Whether a batch has the shape and kind of those that wait."""
        if not self._batches:
            return True
        _, _, first, first_labels = self._batches[0]
        return (
            first.shape[1:] == logits.shape[1:]
            and first_labels.shape[1:] == labels.shape[1:]
            and _place(first) == _place(logits)
        )

    def add(self, ids: Array, step: int, logits: Array, labels: Array) -> None:
        """Keep a copy of a checked batch: the loop may change its arrays in place afterwards."""
        self._batches.append((_copy(ids), step, _copy(logits), _copy(labels)))
        self._elements += logits.shape[0] * logits.shape[1]

    def take(self) -> Waiting | None:
        """Everything that waits, together; None if nothing does."""
        if not self._batches:
            return None
        ids, steps, logits, labels = zip(*self._batches, strict=True)
        self._batches, self._elements = [], 0
        return Waiting(
            np.concatenate([to_numpy(each) for each in ids]),
            np.repeat(np.array(steps, np.int32), [int(each.shape[0]) for each in logits]),
            _concatenated(logits),
            _concatenated([beside(each, logits[0]) for each in labels]),
        )


def check_batch(ids: object, logits: object, labels: object) -> tuple[Array, Array, Array]:
    """The batch as arrays (b,), (b, c) and (b,) or (b, c); values are not looked at.

    Raises
    ------
    PruneKitError
        If shapes or types are others, or do not fit each other.
    """
    values = check_logits(logits)
    given = check_labels(labels, tuple(values.shape))
    names = as_array(ids, "ids")
    if tuple(names.shape) != (values.shape[0],):
        raise PruneKitError(
            f"`ids` must have shape {(int(values.shape[0]),)}, one per row of `logits`; "
            f"got {tuple(names.shape)}.",
            hint="an id is the example's position in the data set, or its name, never its place in the batch",
        )
    return names, values, given


def _place(x: Array) -> tuple[Any, str]:
    return type(x), str(device_of(x))


def _copy(x: Array) -> Array:
    if isinstance(x, np.ndarray):
        return x.copy()
    xp = namespace(x)
    return xp.asarray(x, copy=True)


def _concatenated(arrays: Any) -> Array:
    return arrays[0] if len(arrays) == 1 else namespace(arrays[0]).concat(list(arrays))
