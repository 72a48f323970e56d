"""What one reading of a data set gave, in short, so that another reading can be held against it."""

from __future__ import annotations

import hashlib
import heapq
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError
from prune_kit.identity import feed_array

_INPUTS_LOOKED_AT = 64


class Summary(NamedTuple):
    """A whole reading in short."""

    examples: int
    labels: str
    """Digest of ids and labels."""
    inputs: str
    """Digest of the inputs that were looked at."""


class Reading:
    """The ids and labels of all examples, and digests of the inputs of a few, as they are read.

    Which few depends on their ids alone, so that they are the same in every order and in batches of any size.
    """

    def __init__(self) -> None:
        self._ids: list[NumpyArray] = []
        self._labels: list[NumpyArray] = []
        self._inputs: list[tuple[int, str]] = []  # a heap of (minus the hash of an id, digest of its inputs)

    def add(self, ids: NumpyArray, labels: NumpyArray, parts: Sequence[Any]) -> None:
        """Take note of a batch: ids (b,), labels (b, ...), and the arrays (b, ...) that its inputs are."""
        self._ids.append(ids)
        self._labels.append(labels)
        is_full = len(self._inputs) == _INPUTS_LOOKED_AT
        hashes = _hashes(ids)
        rows = np.flatnonzero(hashes < -self._inputs[0][0]) if is_full else np.arange(len(ids))
        for row in rows.tolist():
            heapq.heappush(self._inputs, (-int(hashes[row]), _digest_of_row(parts, row)))
            if len(self._inputs) > _INPUTS_LOOKED_AT:
                heapq.heappop(self._inputs)

    def summary(self) -> Summary:
        """The reading in short, the same whatever the order in which the ids came."""
        of_labels, of_inputs = hashlib.sha256(), hashlib.sha256()
        if self._ids:
            ids, labels = np.concatenate(self._ids), np.concatenate(self._labels)
            order = np.argsort(ids, kind="stable")
            feed_array(of_labels, ids[order])
            feed_array(of_labels, labels[order])
        for _, digest in sorted(self._inputs):
            of_inputs.update(digest.encode())
        return Summary(sum(map(len, self._ids)), of_labels.hexdigest(), of_inputs.hexdigest())


def _hashes(ids: NumpyArray) -> npt.NDArray[np.uint64]:
    """Numbers as good as random that belong to ids, shape (b,)."""
    if ids.dtype.kind == "U":
        digests = [hashlib.blake2b(each.encode(), digest_size=8).digest() for each in ids.tolist()]
        return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)
    mixed = ids.astype(np.int64).view(np.uint64)
    # SplitMix64 (Steele, Lea, Flood 2014): each bit of the id decides over each bit of the number.
    mixed = mixed * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def _digest_of_row(parts: Sequence[Any], row: int) -> str:
    digest = hashlib.sha256()
    for part in parts:
        value = np.asarray(part[row])
        # The bytes of an object are where it lies; TensorFlow's strings are objects.
        feed_array(digest, value.astype(np.bytes_) if value.dtype.kind == "O" else value)
    return digest.hexdigest()


class Readings:
    """Holds the readings of one data set against the first.

    Parameters
    ----------
    known_by_order
        Whether nothing but its place in the order tells which example is which: then other inputs in the
        same places are other examples, and else they are augmented.
    """

    def __init__(self, *, known_by_order: bool) -> None:
        self._known_by_order = known_by_order
        self._is_augmented = False
        self.first: Summary | None = None

    def check(self, now: Summary) -> None:
        """Take `now` as the first reading, or hold it against that.

        Raises
        ------
        PruneKitError
            If the data gave other examples than before, or others in their places.
        """
        first = self.first
        if first is None:
            self.first = now
            return
        hint = (
            "remove shuffle(), repeat() and augmentation from the data that are scored, or let ids travel "
            "with the examples: with_ids(data) before shuffle()"
        )
        if now.examples != first.examples:
            raise PruneKitError(
                f"`data` gave {now.examples} examples when it was read again, and {first.examples} before.",
                hint=hint,
            )
        is_other = now.labels != first.labels
        if is_other or (self._known_by_order and now.inputs != first.inputs):
            raise PruneKitError(
                "`data` gives other examples, or others in their places, when it is read again: "
                "their scores would belong to others.",
                hint=hint,
            )
        if now.inputs != first.inputs and not self._is_augmented:
            self._is_augmented = True
            warnings.warn(
                "the data set gives other inputs when an example is read again, as with augmentation: "
                "its scores would be noisy. Give the data without augmentation, and the augmented data "
                "as `training_data`.",
                UserWarning,
                stacklevel=3,
            )

    def fingerprint(self) -> str:
        """Hexadecimal digits that tell the data of the first reading from others.

        Augmented inputs are no part of it.
        """
        assert self.first is not None
        return hashlib.sha256(repr(self.first[: 2 if self._is_augmented else 3]).encode()).hexdigest()
