"""Test data: of the same kind as what is trained on, so that a model sees it alike, and none of it."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from .data import Examples
from .errors import PruneKitError
from .ids import some


def check_test_data(data: Any, test_data: Any, /) -> None:
    """Refuse test data that the model would see in another way than what it is trained on.

    Warns where examples of both have the same inputs, which tests what was learned by heart.

    Raises
    ------
    PruneKitError
        If one of both is `Examples`, whose images the kit standardises, and the other is not; or their
        inputs have other shapes, or their classes other names, so that the same label means something else.
    """
    if not isinstance(data, Examples) and not isinstance(test_data, Examples):
        return
    if not isinstance(data, Examples) or not isinstance(test_data, Examples):
        raise PruneKitError(
            "`data` and `test_data` must be of the same kind; got "
            f"{type(data).__name__} and {type(test_data).__name__}.",
            hint="images of prune_kit.data.Examples are standardised before training, other data is not",
        )
    shape, test_shape = data.inputs.shape[1:], test_data.inputs.shape[1:]
    if shape != test_shape:
        raise PruneKitError(
            f"`test_data` must have inputs of the shape of those of `data`, {shape}; got {test_shape}.",
            hint="bring images to one size: --image-size, or image_size of load_examples",
        )
    names, test_names = data.class_names, test_data.class_names
    if names is not None and test_names is not None and names != test_names:
        raise PruneKitError(
            f"`test_data` must have the classes of `data`, {some(list(names))}; "
            f"got {some(list(test_names))}.",
            hint="strings and folders are numbered in the order of their names: no class may be missing",
        )
    if shared := shared_inputs(data, test_data):
        warnings.warn(
            f"{shared:,} of the {len(test_data):,} test examples have the same inputs as a training example: "
            "they test what was learned by heart.",
            UserWarning,
            stacklevel=3,
        )


def shared_inputs(data: Examples, test_data: Examples, /) -> int:
    """How many examples of `test_data` have the inputs of an example of `data`, to the last bit."""
    there = set(_digests(data))
    return sum(digest in there for digest in _digests(test_data))


def _digests(examples: Examples) -> Iterator[bytes]:
    for row in examples.inputs:
        yield hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=16).digest()
