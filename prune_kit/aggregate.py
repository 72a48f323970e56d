"""Scores over seeds: the mean that ranks examples, how far it can be trusted, how far seeds agree."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Array, as_array, float_name, like, namespace, to_numpy, wide_float
from .errors import PruneKitError
from .ids import some


def mean_over_seeds(scores: object, /) -> Array:
    """Average each example's score over the seeds.

    Parameters
    ----------
    scores
        Shape (seeds, n), real, no NaN: one row per initialisation. Half precision is averaged in float32.

    Returns
    -------
    array of shape (n,)
        In the library, on the device and in the float type of `scores` (half precision: float32;
        integers: the library's default float), accumulated in float64 where the device has it. An example
        with an infinite score in one seed (never learned) has an infinite mean.

    Raises
    ------
    PruneKitError
        If `scores` are not two-dimensional, real and free of NaN, or there is no seed or no example.

    References
    ----------
    Paul, Ganguli, Dziugaite: Deep Learning on a Data Diet, NeurIPS 2021, section 2 (scores are averaged
    over ten initialisations).

    Examples
    --------
    >>> import numpy as np
    >>> mean_over_seeds(np.array([[0.25, 1.0], [0.75, 1.0]]))
    array([0.5, 1. ])
    """
    return _average(scores).mean


def standard_error(scores: object, /) -> Array:
    """Estimate the standard error of each example's mean over the seeds.

    Parameters
    ----------
    scores
        Shape (seeds, n), as in `mean_over_seeds`.

    Returns
    -------
    array of shape (n,)
        `std(ddof=1) / sqrt(seeds)`, typed as in `mean_over_seeds`. NaN for one seed, which says nothing
        about the spread, and for examples with an infinite score.

    Raises
    ------
    PruneKitError
        As in `mean_over_seeds`.

    Examples
    --------
    >>> import numpy as np
    >>> standard_error(np.array([[0.25, 1.0], [0.75, 1.0]]))
    array([0.25, 0.  ])
    """
    return _average(scores).standard_error


def rank_agreement(scores: object, /) -> Array:
    """Correlate the ranks that each pair of seeds gives the examples (Spearman).

    Parameters
    ----------
    scores
        Shape (seeds, n), real, no NaN. Infinite scores rank highest.

    Returns
    -------
    array of shape (seeds, seeds)
        In [-1, 1], symmetric, 1 on the diagonal: 1 is the same order of all examples. Equal scores share
        the mean of their ranks. NaN off the diagonal for a seed that gives all examples the same score.
        Typed as in `mean_over_seeds`; computed in float64.

    Raises
    ------
    PruneKitError
        As in `mean_over_seeds`.

    References
    ----------
    Paul, Ganguli, Dziugaite: Deep Learning on a Data Diet, NeurIPS 2021, Figure 8 (Spearman correlation
    of scores between seeds).

    Examples
    --------
    >>> import numpy as np
    >>> rank_agreement(np.array([[0.1, 0.2, 0.3, 0.4], [1.0, 3.0, 2.0, 4.0]]))
    array([[1. , 0.8],
           [0.8, 1. ]])
    """
    from scipy.stats import rankdata  # takes a second to import

    reference = _matrix(scores)
    xp = namespace(reference)
    ranks = np.empty(reference.shape)
    for seed in range(reference.shape[0]):
        row = reference[seed, :]
        _check_row(row, f"scores[{seed}]")
        if xp.isdtype(row.dtype, "real floating"):
            row = xp.astype(row, wide_float(row))  # SciPy does not know bfloat16
        ranks[seed] = rankdata(to_numpy(row))
    ranks -= (ranks.shape[1] + 1) / 2  # the mean rank, ties or not
    products = ranks @ ranks.T
    squares = np.diagonal(products)
    with np.errstate(invalid="ignore"):  # a constant seed: 0 / 0
        agreement = np.clip(products / np.sqrt(np.outer(squares, squares)), -1.0, 1.0)
    np.fill_diagonal(agreement, 1.0)
    return like(agreement.astype(float_name(reference)), reference)


class SeedAverage:
    """Mean and standard error over seeds, one seed at a time.

    Holds two arrays of shape (n,), however many seeds there are, in the library and on the device of the
    scores (Welford's update: no cancellation). `mean_over_seeds` and `standard_error` are computed
    by it, so both ways give the same numbers.

    Examples
    --------
    >>> import numpy as np
    >>> average = SeedAverage()
    >>> for seed in range(3):
    ...     average.update(np.array([1.0, 2.0]) * seed)
    >>> average.count, average.mean
    (3, array([1., 2.]))
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean: Array = None  # of the finite scores, in the widest float
        self._squares: Array = None  # summed squared differences from that mean
        self._infinite: Array = None  # whether a score has been infinite
        self._type: Any = None

    @property
    def count(self) -> int:
        """How many seeds have been averaged."""
        return self._count

    @property
    def mean(self) -> Array:
        """Shape (n,): the mean over the seeds so far. See `mean_over_seeds`."""
        self._check_started()
        xp = namespace(self._mean)
        mean = xp.where(self._infinite, xp.full_like(self._mean, xp.inf), self._mean)
        return xp.astype(mean, self._type)

    @property
    def standard_error(self) -> Array:
        """Shape (n,): the standard error of the mean so far. See the function `standard_error`."""
        self._check_started()
        xp = namespace(self._mean)
        error = unknown = xp.full_like(self._mean, xp.nan)
        if self._count > 1:
            error = xp.sqrt(self._squares / ((self._count - 1) * self._count))
            error = xp.where(self._infinite, unknown, error)
        return xp.astype(error, self._type)

    def update(self, scores: object, /) -> None:
        """Take in the scores of one more seed.

        Parameters
        ----------
        scores
            Shape (n,), real, no NaN, in the same library and on the same device as the seeds before.

        Raises
        ------
        PruneKitError
            If the scores are not one-dimensional, real and free of NaN, or not as many as before.
        """
        row = as_array(scores, "scores")
        if row.ndim != 1 or row.shape[0] == 0 or (self._count and row.shape != self._mean.shape):
            expected = f"{tuple(self._mean.shape)}, as before" if self._count else "(n,), n at least 1"
            raise PruneKitError(
                f"`scores` must have shape {expected}; got {tuple(row.shape)}.",
                hint="give the scores of one seed, of all examples, in the same order each time",
            )
        self._add(row, "scores")

    def _add(self, row: Array, name: str) -> None:
        xp = namespace(row) if self._mean is None else namespace(self._mean, row)
        _check_row(row, name)
        new_type = _result_type(row)
        values = xp.astype(row, wide_float(row))
        # An infinity would turn the running sums into NaN, so it is kept apart.
        infinite = xp.isinf(values)
        if self._count == 0:
            self._mean = xp.where(infinite, xp.zeros_like(values), values)
            self._squares = xp.zeros_like(values)
            self._infinite = infinite
            self._type = new_type
        else:
            delta = xp.where(infinite, xp.zeros_like(values), values - self._mean)
            self._mean = self._mean + delta / (self._count + 1)
            self._squares = self._squares + delta * delta * (self._count / (self._count + 1))
            self._infinite = xp.logical_or(self._infinite, infinite)
            self._type = xp.result_type(self._type, new_type)
        self._count += 1

    def _check_started(self) -> None:
        if self._count == 0:
            raise PruneKitError("there is nothing to average yet.", hint="call update(scores) once per seed")


def _average(scores: object) -> SeedAverage:
    matrix = _matrix(scores)
    average = SeedAverage()
    for seed in range(matrix.shape[0]):
        average._add(matrix[seed, :], f"scores[{seed}]")
    return average


def _matrix(scores: object) -> Array:
    matrix = as_array(scores, "scores")
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise PruneKitError(
            f"`scores` must have shape (seeds, n), both at least 1; got {tuple(matrix.shape)}.",
            hint="put the seeds in rows: numpy.stack([scores_of_seed_0, scores_of_seed_1])",
        )
    return matrix


def _check_row(row: Array, name: str) -> None:
    """Raise unless one seed's scores are real numbers, infinity included, NaN and minus infinity not."""
    xp = namespace(row)
    if xp.isdtype(row.dtype, "integral"):
        return
    if not xp.isdtype(row.dtype, "real floating"):
        raise PruneKitError(f"`{name}` must be real numbers; got dtype {row.dtype}.")
    bad = xp.logical_or(xp.isnan(row), row == -xp.inf)
    if bool(xp.any(bad)):
        positions = np.flatnonzero(to_numpy(bad))
        raise PruneKitError(
            f"`{name}` must not be NaN or minus infinity; {positions.size} of {row.shape[0]} are, "
            f"at positions {some(positions.tolist())}.",
            hint="find out where the scores come from, or leave these examples out in every seed",
        )


def _result_type(row: Array) -> Any:
    return getattr(namespace(row), float_name(row))
