"""Means over seeds and their standard errors, of plain numbers: what tables, figures and reports show."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .arrays import NumpyArray


def mean_and_error(values: Sequence[float] | NumpyArray, /) -> tuple[float, float | None]:
    """The mean and its standard error, ``std(ddof=1) / sqrt(n)``; None of a single value."""
    found = np.asarray(values, np.float64)
    error = float(found.std(ddof=1) / math.sqrt(len(found))) if len(found) > 1 else None
    return float(found.mean()), error


def means_at(places: NumpyArray, values: NumpyArray, /) -> tuple[NumpyArray, NumpyArray, NumpyArray]:
    """Each of the `places` once, ascending, the mean of the values there, and its standard error.

    Of a single value the error is 0: in a figure, no bar.
    """
    there = np.unique(places)
    found = [mean_and_error(values[places == place]) for place in there]
    return there, np.array([mean for mean, _ in found]), np.array([error or 0.0 for _, error in found])
