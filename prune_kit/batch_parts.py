"""What a batch may look like, whichever framework gives it: inputs and labels, and perhaps ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import PruneKitError

LABEL_KEYS = ("labels", "label", "targets", "target", "y")
ID_KEYS = ("ids", "id", "example_id", "example_ids")
INPUT_KEYS = ("inputs", "input", "x", "image", "images", "features")


class BatchParts(NamedTuple):
    """The parts of a batch as they came."""

    ids: Any
    """None where the batch brings none."""
    inputs: Any
    """One array, a tuple of positional arguments, or a dict of keyword arguments of the model."""
    labels: Any


def batch_parts(batch: Any) -> BatchParts:
    """Take a batch apart: (x, y), (x, y, ids), or a dict with labels under a usual key.

    Raises
    ------
    PruneKitError
        If it is none of these.
    """
    if isinstance(batch, Mapping):
        return _of_mapping(batch)
    if isinstance(batch, (tuple, list)) and len(batch) in (2, 3):
        inputs = tuple(batch[0]) if isinstance(batch[0], (tuple, list)) else batch[0]
        if isinstance(inputs, Mapping):
            inputs = dict(inputs)
        return BatchParts(batch[2] if len(batch) == 3 else None, inputs, batch[1])
    size = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
    raise PruneKitError(
        f"a batch must be (inputs, labels), (inputs, labels, ids) or a dict with labels; "
        f"got {type(batch).__name__}{size}.",
        hint="give several inputs as ((a, b), labels) or as a dict whose keys the model's forward names",
    )


def _of_mapping(batch: Mapping[str, Any]) -> BatchParts:
    rest = dict(batch)
    label_key = next((key for key in LABEL_KEYS if key in rest), None)
    if label_key is None:
        raise PruneKitError(
            f"a batch given as a dict must have labels under one of {', '.join(LABEL_KEYS)}; "
            f"its keys are {', '.join(map(str, batch))}."
        )
    labels = rest.pop(label_key)
    id_key = next((key for key in ID_KEYS if key in rest), None)
    ids = rest.pop(id_key) if id_key else None
    # A single entry under a usual name of "the input" is an argument by position: forwards name it variously.
    if len(rest) == 1 and next(iter(rest)) in INPUT_KEYS:
        return BatchParts(ids, next(iter(rest.values())), labels)
    return BatchParts(ids, rest, labels)


def check_batch_ids(ids: Any, n: int) -> None:
    """Refuse ids of a batch that are no integers or strings, or not one per example."""
    if ids.shape != (n,) or ids.dtype.kind not in "iuU":
        raise PruneKitError(
            f"ids must be integers or strings, one per example: shape ({n},); "
            f"got shape {ids.shape} and dtype {ids.dtype}.",
            hint="a tuple's third entry is taken for ids",
        )


def check_label_shape(shape: tuple[int, ...]) -> None:
    """Refuse labels that are neither class indices (b,) nor soft labels (b, classes)."""
    if len(shape) not in (1, 2):
        raise PruneKitError(f"labels must have shape (b,), or (b, classes) where they are soft; got {shape}.")


def check_fit(
    logits_shape: tuple[int, ...], labels_shape: tuple[int, ...], low_and_high: tuple[int, int] | None
) -> None:
    """Refuse logits that do not fit the labels: another number of rows or classes.

    Parameters
    ----------
    logits_shape, labels_shape
        (b, c); (b,) or (b, c).
    low_and_high
        The lowest and the highest class index; None where they are not known.
    """
    rows, classes = logits_shape
    if rows != labels_shape[0]:
        raise PruneKitError(
            f"the model gave {rows} rows of logits for {labels_shape[0]} labels.",
            hint="it must give one row of logits per example",
        )
    if len(labels_shape) == 2 and labels_shape[1] != classes:
        raise PruneKitError(f"the model gives {classes} classes, the labels have {labels_shape[1]} columns.")
    if low_and_high is not None:
        low, high = low_and_high
        if low < 0 or high >= classes:
            raise PruneKitError(
                f"the model gives {classes} classes, so that labels must lie in 0 ... "
                f"{classes - 1}; got {low if low < 0 else high}.",
                hint="the model needs an output for every class, and classes count from 0",
            )
