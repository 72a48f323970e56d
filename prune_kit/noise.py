"""Which labels look wrong: flags, probabilities and suggestions from predictions early in training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._label_noise import fit
from ._noise_model import NoiseModel
from ._noise_sample import Classes, Floats
from ._selection import as_scores, lowest
from .arrays import Array, NumpyArray, as_array, like, row_slices, to_numpy
from .checks import check_classes, check_finite, check_labels, check_logits, check_probabilities, subset_size
from .errors import PruneKitError
from .rich import noise_flags_html

_LEAST_PROBABILITY = 0.2
"""No label is flagged that is wrong with less than this probability, however few there are."""
_SMALLEST = 1e-30
_BLOCK_ENTRIES = 1 << 20


@dataclass(frozen=True, eq=False)
class NoiseFlags:
    """Which labels look wrong.

    Attributes
    ----------
    flags : array of shape (n,), bool
        Whether the label is taken to be wrong: as many of the likeliest as maximise the expected F1 score,
        none of them with a probability below 0.2.
    probability : array of shape (n,), float
        Probability that the label is wrong, in [0, 1]; higher is more suspect.
    suggested : array of shape (n,), int64
        The likeliest class if the given label is wrong.
    count : float
        How many labels are wrong, estimated: the sum of `probability`.
    joint : array of shape (c, c), float
        How many examples of true class k (row) were given label j (column), estimated. Sums to n; off the
        diagonal to `count`.
    """

    flags: Array
    probability: Array
    suggested: Array
    count: float
    joint: Array

    def __repr__(self) -> str:
        flagged = int(np.count_nonzero(to_numpy(self.flags)))
        return f"NoiseFlags({flagged} of {self.flags.shape[0]} flagged, about {self.count:.0f} wrong)"

    def _repr_html_(self) -> str:
        """What notebooks show."""
        return noise_flags_html(
            to_numpy(self.flags),
            to_numpy(self.probability),
            to_numpy(self.suggested),
            self.count,
            to_numpy(self.joint),
        )


def flag_noise(logits: object, labels: object, /, *, from_logits: bool = True) -> NoiseFlags:
    """Find wrong labels from the predictions of networks that were trained on them.

    Parameters
    ----------
    logits
        Shape (n, c), or (seeds, n, c): predictions of every example in the training set, early in training
        (a network that has memorised its labels no longer shows the wrong ones) and averaged over seeds, as
        probabilities, where there are several.
    labels
        Shape (n,), integers from 0 to c - 1: the given labels.
    from_logits
        False where `logits` are probabilities.

    Returns
    -------
    NoiseFlags
        `flags`, `probability`, `suggested`, `count`, `joint`, in the library and on the device of `logits`;
        floats are float32, of float64 logits float64. Computed in float64 with NumPy.

    Raises
    ------
    PruneKitError
        If the shapes do not fit, values are NaN or infinite, probabilities are none, or labels are out of
        range or soft.

    Notes
    -----
    A model of label noise (clean class probabilities, which follow from the predictions, and a transition
    matrix) is fitted by maximum likelihood; of three such models the one is taken under which labels that it
    was not fitted to are likeliest: see `docs/noise.md`. The transition matrix follows Goldberger and
    Ben-Reuven (ICLR 2017); the number that is flagged maximises the expected F1 score (Lipton, Elkan,
    Naryanaswamy, ECML 2014).

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.arange(300) % 3
    >>> logits = 8.0 * np.eye(3)[labels]
    >>> labels[:5] = (labels[:5] + 1) % 3
    >>> found = flag_noise(logits, labels)
    >>> np.flatnonzero(found.flags), found.suggested[:5], round(found.count, 1)
    (array([0, 1, 2, 3, 4]), array([0, 1, 2, 0, 1]), 5.0)
    """
    reference = as_array(logits, "logits")
    seeds = (
        [reference[seed, ...] for seed in range(reference.shape[0])] if reference.ndim == 3 else [reference]
    )
    if not seeds:
        raise PruneKitError("`logits` must hold at least one seed; got shape (0, n, c).")
    shape = tuple(check_logits(seeds[0]).shape)
    given = check_labels(labels, shape)
    if given.ndim == 2:
        raise PruneKitError(
            f"`labels` must be integers of shape ({shape[0]},), one per row of `logits`; got {shape}.",
            hint="a soft label is not right or wrong; labels.argmax(1) are the classes of one-hot labels",
        )
    classes = to_numpy(check_classes(given, shape[1], 0)).astype(np.int64)
    log_q = _log_of_mean(seeds, from_logits=from_logits)
    model = fit(log_q, classes)
    probability, suggested, joint = _conclude(model, log_q, classes)
    flags = _flags(probability)
    wide = "float64" if "float64" in str(reference.dtype) else "float32"
    return NoiseFlags(
        flags=like(flags, reference),
        probability=like(probability.astype(wide), reference),
        suggested=like(suggested, reference),
        count=float(probability.sum()),
        joint=like(joint.astype(wide), reference),
    )


def flag_highest(scores: object, /, *, fraction: float | None = None, count: int | None = None) -> Array:
    """Flag the examples with the highest scores, where scores are all there is.

    The hardest examples are where wrong labels gather, and hard right ones too: how many to flag must be
    known from elsewhere. `flag_noise` estimates it from logits.

    Parameters
    ----------
    scores, fraction, count
        As in `keep_hardest`.

    Returns
    -------
    array of shape (n,), bool
        True for exactly `count` examples, those that `keep_hardest` gives. In the library and on the device
        of `scores`.

    Raises
    ------
    PruneKitError
        As in `keep_hardest`.

    Examples
    --------
    >>> import numpy as np
    >>> flag_highest(np.array([0.1, 0.9, 0.3, 0.7]), count=2)
    array([False,  True, False,  True])
    """
    reference, values = as_scores(scores)
    size = subset_size(values.size, fraction, count)
    return like(~lowest(values, values.size - size), reference)


def _log_of_mean(seeds: list[Array], *, from_logits: bool) -> Floats:
    """Logarithm of the mean probability over the seeds, float64."""
    n, c = (int(size) for size in seeds[0].shape)
    mean = np.empty((n, c))
    for rows in row_slices(n, max(1, _BLOCK_ENTRIES // c)):
        total = np.zeros((rows.stop - rows.start, c))
        for values in seeds:
            block = values[rows, :]
            check_finite(block, "logits", rows.start)
            if not from_logits:
                check_probabilities(block, rows.start)
            total += _probabilities(to_numpy(block).astype(np.float64), from_logits=from_logits)
        mean[rows] = total / len(seeds)
    return np.asarray(np.log(np.maximum(mean, _SMALLEST)))


def _probabilities(block: Floats, *, from_logits: bool) -> Floats:
    if from_logits:
        block = np.exp(block - block.max(axis=1, keepdims=True))
    return np.asarray(block / block.sum(axis=1, keepdims=True))


def _conclude(model: NoiseModel, log_q: Floats, labels: Classes) -> tuple[Floats, Classes, Floats]:
    """Probability that each label is wrong, the likeliest other class, counts of (true, given)."""
    n, c = log_q.shape
    probability, suggested, joint = np.empty(n), np.empty(n, np.int64), np.zeros((c, c))
    for rows in row_slices(n, max(1, _BLOCK_ENTRIES // c)):
        posterior = model.posterior(log_q[rows], labels[rows])
        given = labels[rows]
        np.add.at(joint.T, given, posterior)
        posterior[np.arange(len(given)), given] = 0.0
        # The sum of the others, for 1 - own has lost the digits of a label that is surely right.
        probability[rows] = posterior.sum(axis=1)
        suggested[rows] = posterior.argmax(axis=1)
    return np.minimum(probability, 1.0), suggested, joint


def _flags(probability: Floats) -> NumpyArray:
    """As many of the likeliest as maximise 2 * (expected hits) / (flagged + expected wrong)."""
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum(probability[order])
    expected = 2.0 * hits / (np.arange(1, order.size + 1) + max(float(hits[-1]), 1e-12))
    flags = np.zeros(order.size, bool)
    flags[order[: int(expected.argmax()) + 1]] = True
    return np.asarray(flags & (probability >= _LEAST_PROBABILITY))
