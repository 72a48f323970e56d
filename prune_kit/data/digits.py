"""The embedded default: the 1,797 handwritten digits that ship with scikit-learn."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..errors import MissingExtraError, PruneKitError
from ..select import keep_random
from .examples import Examples

_TEST_SIZE = 450


def digits(name: str) -> Examples:
    """Return what `digits`, `digits:test` or another such name names."""
    if name == "digits":
        return load_digits("train")
    match name.removeprefix("digits:"):
        case "train" | "test" | "all" as part:
            return load_digits(part)
    raise PruneKitError(
        f"the digits have the parts train, test and all; got {name!r}.", hint="give 'digits:test'"
    )


def load_digits(part: Literal["train", "test", "all"]) -> Examples:
    """Return the training split (1,347), the test split (450) or all digits, 8 x 8 grey images.

    The split is fixed and has the same share of each class in both parts. An example's id is its position
    in `sklearn.datasets.load_digits().images`; grey values of 0 to 16 there are 0 to 255 here.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise MissingExtraError(
            "the data set `digits` needs scikit-learn, which is not installed.",
            hint='pip install "prune-kit[data]"',
        ) from error
    bunch = datasets.load_digits()
    n = len(bunch.target)
    test = keep_random(n, count=_TEST_SIZE, seed=0, labels=bunch.target)
    everything = np.arange(n)
    ids = {"train": np.setdiff1d(everything, test), "test": test, "all": everything}[part]
    images = np.rint(bunch.images[ids] * (255 / 16)).astype(np.uint8)
    return Examples(
        inputs=images[..., np.newaxis],
        labels=bunch.target[ids].astype(np.int64),
        ids=ids,
        class_names=tuple(str(name) for name in bunch.target_names),
        source="digits" if part == "train" else f"digits:{part}",
    )
