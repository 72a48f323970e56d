"""Which classes a chart has room for, and what they are called there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .chart import distinct

MOST_CLASSES = 24


class ShownClasses(NamedTuple):
    """Classes from top to bottom."""

    codes: list[int]
    """Indices of the classes."""
    names: list[str]
    """What they are called, short and each once."""
    said: str
    """Which these are, as a sentence after others; empty where they are all."""

    @property
    def height(self) -> int:
        """Of a chart with a row for each, in pixels."""
        return max(120, 18 * len(self.codes))


def shown_classes(by: Sequence[float], names: Sequence[str], /) -> ShownClasses:
    """The classes of the highest and the lowest values `by`, highest first; all, where there is room."""
    order = np.argsort(-np.asarray(by), kind="stable").tolist()
    said = ""
    if len(order) > MOST_CLASSES:
        half = MOST_CLASSES // 2
        said = f" Of {len(order)} classes, the {half} highest and the {half} lowest."
        order = order[:half] + order[-half:]
    return ShownClasses(order, distinct([names[code] for code in order]), said)
