"""Labels made wrong on purpose, as in the paper: a part of them is shuffled among its examples."""

from __future__ import annotations

import numpy as np

from ._selection import check_selection_seed
from .arrays import Array, as_array, like
from .checks import subset_size
from .classes import encode_labels


def randomise_labels(
    labels: object, /, *, fraction: float | None = None, count: int | None = None, seed: int
) -> tuple[Array, Array]:
    """Shuffle the labels of a random part of the examples among themselves.

    How often each class occurs stays as it is. A shuffled label may be the right one by chance: of `k`
    chosen examples in `c` classes of equal size about `k (1 - 1 / c)` get another label, 90% of them with
    ten classes.

    Parameters
    ----------
    labels
        Shape (n,), integers or strings: the class of each example.
    fraction, count
        How many examples are chosen, one of both: exactly `count`, or `round(fraction * n)`.
    seed
        Of the draw, 0 or more. With the same seed and the same `n`, the examples of a smaller number are
        among those of a larger one.

    Returns
    -------
    new_labels : array of shape (n,)
        The labels with those of the chosen examples shuffled; in the type, the library and on the device of
        `labels`, which stay as they are.
    positions : array of shape (k,)
        The chosen examples, ascending, int64 (JAX without x64 has only int32), in the same library. Which of
        them have another label now is `new_labels[positions] != labels[positions]`.

    Raises
    ------
    PruneKitError
        If the labels are not one-dimensional integers or strings, the number does not fit, or `seed` is
        none.

    References
    ----------
    Paul, Ganguli, Dziugaite: Deep Learning on a Data Diet, NeurIPS 2021, Figure 2.

    Examples
    --------
    >>> import numpy as np
    >>> new_labels, positions = randomise_labels(np.array([0, 1, 2, 3, 4, 5]), count=3, seed=0)
    >>> new_labels
    array([0, 1, 3, 2, 4, 5])
    >>> positions
    array([2, 3, 5])
    """
    reference = as_array(labels, "labels")
    classes, codes = encode_labels(reference)
    size = subset_size(codes.size, fraction, count)
    check_selection_seed(seed)
    chosen = np.random.default_rng(int(seed)).permutation(codes.size)[:size]
    # `chosen` is in random order: which label goes where is as random as who is chosen.
    positions = np.sort(chosen)
    new_codes = codes.copy()
    new_codes[positions] = codes[chosen]
    return like(classes[new_codes], reference), like(positions, reference)
