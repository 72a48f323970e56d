"""Scores over a training run: what an example's predictions did from epoch to epoch. Higher is harder."""

from __future__ import annotations

from typing import Any

from .arrays import Array, as_array, beside, float_name, namespace, wide_float
from .errors import PruneKitError

__all__ = ["aum", "confidence", "forgetting", "last_over_epochs", "mean_over_epochs", "variability"]


def forgetting(correct: object, /, *, never_learned: float = float("inf"), seen: object = None) -> Array:
    """Count the forgetting events of each example: how often it went from right to wrong.

    Parameters
    ----------
    correct
        Shape (epochs, n), bool: whether the example was classified correctly at its presentation in each
        epoch, in the order of time.
    never_learned
        The score of an example that was never classified correctly: infinite in the paper. A mean over
        seeds is infinite where one seed's score is; a finite value above every possible count, such as the
        number of epochs, ranks these examples highest as well.
    seen
        Shape (epochs, n), bool: whether the example was presented in that epoch at all (all, if not given).
        Presentations that follow each other are compared, however many epochs lie between them.

    Returns
    -------
    Array
        Shape (n,), 0, 1, 2, ... or `never_learned`, in the library's default float type; higher is harder.
        At most ``epochs // 2``. Of the library and device of `correct`.

    Raises
    ------
    PruneKitError
        If `correct` is not a bool array of shape (epochs, n), `seen` does not fit it, an example was never
        presented, or `never_learned` is NaN.

    References
    ----------
    Toneva, Sordoni, Tachet des Combes, Trischler, Bengio, Gordon. An Empirical Study of Example Forgetting
    during Deep Neural Network Learning. ICLR 2019. Section 3; the baseline of Paul et al. 2021.

    Examples
    --------
    >>> import numpy as np
    >>> forgetting(np.array([[True, False, True], [False, False, True], [True, False, True]]))
    array([ 1., inf,  0.])
    """
    values = _over_epochs(correct, "correct")
    xp = namespace(values)
    if not xp.isdtype(values.dtype, "bool"):
        raise PruneKitError(
            f"`correct` must be bool; got dtype {values.dtype}.", hint="predicted == labels, epoch by epoch"
        )
    check_never_learned(never_learned)
    presented = _presented(seen, values)
    was_right = xp.zeros_like(values[0, :])
    learned = xp.zeros_like(values[0, :])
    dtype = getattr(xp, float_name(xp.astype(values[0, :], xp.int32)))
    events = xp.astype(was_right, dtype)
    for epoch in range(values.shape[0]):
        right = values[epoch, :]
        if presented is None:
            forgot, was_right = was_right & ~right, right
        else:
            here = presented[epoch, :]
            forgot, was_right = here & was_right & ~right, xp.where(here, right, was_right)
        events = events + xp.astype(forgot, dtype)
        learned = learned | was_right
    return xp.where(learned, events, xp.full_like(events, never_learned))


def aum(margins: object, /, *, seen: object = None) -> Array:
    """Area under the margin: the mean over epochs of how far another class leads over the label.

    Parameters
    ----------
    margins
        Shape (epochs, n), real: in the paper, of logits (`logit_margin`); margins of probabilities
        (`margin`) rank nearly alike where networks are equally sure. In the kit's sign: positive is wrong.
    seen
        As in `forgetting`; only those epochs count.

    Returns
    -------
    Array
        Shape (n,); higher is harder: minus the paper's AUM, of which low values are suspect labels. In the
        float type of `margins` (half precision: float32), accumulated in float64 where the device has it.

    Raises
    ------
    PruneKitError
        If `margins` are not real and finite, of shape (epochs, n), `seen` does not fit them, or an example
        was never presented.

    References
    ----------
    Pleiss, Zhang, Elenberg, Weinberger. Identifying Mislabeled Data using the Area Under the Margin Ranking.
    NeurIPS 2020. Equation 1, negated.

    Examples
    --------
    >>> import numpy as np
    >>> aum(np.array([[-1.0, 2.0], [-3.0, 1.0]]))
    array([-2. ,  1.5])
    """
    return _mean_of(*_finite(margins, "margins", seen))


def confidence(p_label: object, /, *, seen: object = None) -> Array:
    """Lack of confidence: 1 less the mean probability of the label over the epochs.

    Parameters
    ----------
    p_label
        Shape (epochs, n), in [0, 1]: the probability of the given label.
    seen
        As in `forgetting`; only those epochs count.

    Returns
    -------
    Array
        Shape (n,), in [0, 1]; higher is harder: 1 minus the paper's confidence, which is high for
        easy-to-learn examples. Typed as in `aum`.

    Raises
    ------
    PruneKitError
        As in `aum`, and for values outside [0, 1].

    References
    ----------
    Swayamdipta, Schwartz, Lourie, Wang, Hajishirzi, Smith, Choi. Dataset Cartography: Mapping and Diagnosing
    Datasets with Training Dynamics. EMNLP 2020. Section 2.1.

    Examples
    --------
    >>> import numpy as np
    >>> confidence(np.array([[0.5, 1.0], [0.75, 1.0]]))
    array([0.375, 0.   ])
    """
    values, presented = _probabilities(p_label, seen)
    return namespace(values).astype(1 - _mean(_wide(values), presented), _result_type(values))


def variability(p_label: object, /, *, seen: object = None) -> Array:
    """Variability: the standard deviation of the label's probability over the epochs.

    Parameters
    ----------
    p_label, seen
        As in `confidence`.

    Returns
    -------
    Array
        Shape (n,), in [0, 0.5]; higher is more ambiguous, which counts as harder. Divided by the number of
        epochs, as in the paper, not by one less; 0 for an example presented once. Typed as in `aum`.

    Raises
    ------
    PruneKitError
        As in `confidence`.

    References
    ----------
    Swayamdipta et al. Dataset Cartography. EMNLP 2020. Section 2.1.

    Examples
    --------
    >>> import numpy as np
    >>> variability(np.array([[0.5, 1.0], [0.75, 1.0]]))
    array([0.125, 0.   ])
    """
    values, presented = _probabilities(p_label, seen)
    xp, wide = namespace(values), _wide(values)
    deviations = wide - _mean(wide, presented)[None, :]
    return xp.astype(xp.sqrt(_mean(deviations * deviations, presented)), _result_type(values))


def mean_over_epochs(scores: object, /, *, seen: object = None) -> Array:
    """Mean of a score over the epochs, such as of EL2N along the whole training.

    Parameters
    ----------
    scores
        Shape (epochs, n), real and finite.
    seen
        As in `forgetting`; only those epochs count.

    Returns
    -------
    Array
        Shape (n,), typed as in `aum`; higher is harder.

    Raises
    ------
    PruneKitError
        As in `aum`.
    """
    return _mean_of(*_finite(scores, "scores", seen))


def last_over_epochs(scores: object, /, *, seen: object = None) -> Array:
    """Score of each example at its last presentation: parameters, result and errors of `mean_over_epochs`."""
    values, presented = _finite(scores, "scores", seen)
    xp = namespace(values)
    last = values[0, :]
    for epoch in range(values.shape[0]):
        last = (
            values[epoch, :] if presented is None else xp.where(presented[epoch, :], values[epoch, :], last)
        )
    return xp.astype(last, _result_type(values))


def check_never_learned(never_learned: float) -> None:
    """Refuse a score for examples never learned that is no number of 0 or more."""
    if not isinstance(never_learned, (int, float)) or not never_learned >= 0:
        raise PruneKitError(
            f"`never_learned` must be a number of 0 or more, or infinity; got {never_learned!r}.",
            hint="the number of epochs ranks examples that were never learned highest",
        )


def _over_epochs(x: object, name: str) -> Array:
    values = as_array(x, name)
    if values.ndim != 2 or 0 in values.shape:
        raise PruneKitError(
            f"`{name}` must have shape (epochs, n), both at least 1; got {tuple(values.shape)}.",
            hint="put the epochs in rows: numpy.stack([at_epoch_1, at_epoch_2])",
        )
    return values


def _presented(seen: object, values: Array) -> Array | None:
    """`seen` beside `values`, checked; None if every example was presented in every epoch."""
    if seen is None:
        return None
    presented = beside(as_array(seen, "seen"), values)
    xp = namespace(presented)
    if tuple(presented.shape) != tuple(values.shape) or not xp.isdtype(presented.dtype, "bool"):
        raise PruneKitError(
            f"`seen` must be bool of shape {tuple(values.shape)}, as the values; "
            f"got {presented.dtype} of shape {tuple(presented.shape)}."
        )
    never = ~xp.any(presented, axis=0)
    if bool(xp.any(never)):
        count, first = int(xp.sum(xp.astype(never, xp.int32))), int(xp.argmax(xp.astype(never, xp.int32)))
        raise PruneKitError(
            f"every example must be presented at least once; {count} never were, the first at position "
            f"{first}.",
            hint="leave them out, or train on all examples",
        )
    return presented


def _finite(x: object, name: str, seen: object) -> tuple[Array, Array | None]:
    """Real values and where they count; what does not count is 0."""
    values = _over_epochs(x, name)
    xp = namespace(values)
    if not xp.isdtype(values.dtype, ("integral", "real floating")):
        raise PruneKitError(f"`{name}` must be real numbers; got dtype {values.dtype}.")
    values = xp.astype(values, _result_type(values), copy=False)
    presented = _presented(seen, values)
    if presented is not None:
        values = xp.where(presented, values, xp.zeros_like(values))
    bad = ~xp.isfinite(values)
    if bool(xp.any(bad)):
        epoch = int(xp.argmax(xp.astype(xp.any(bad, axis=1), xp.int32)))
        position = int(xp.argmax(xp.astype(bad[epoch, :], xp.int32)))
        raise PruneKitError(
            f"`{name}` must be finite; got NaN or an infinity in row {epoch} (an epoch), at position "
            f"{position}.",
            hint="mark what was not presented with seen=..., shape (epochs, n)",
        )
    return values, presented


def _probabilities(p_label: object, seen: object) -> tuple[Array, Array | None]:
    values, presented = _finite(p_label, "p_label", seen)
    xp = namespace(values)
    low, high = float(xp.min(values)), float(xp.max(values))
    if low < 0 or high > 1 + 1e-6:
        raise PruneKitError(
            f"`p_label` must be probabilities, in [0, 1]; got values from {low:.6g} to {high:.6g}.",
            hint="prune_kit.p_label(logits, labels) gives them",
        )
    return values, presented


def _mean_of(values: Array, presented: Array | None) -> Array:
    return namespace(values).astype(_mean(_wide(values), presented), _result_type(values))


def _wide(values: Array) -> Array:
    return namespace(values).astype(values, wide_float(values), copy=False)


def _mean(values: Array, presented: Array | None) -> Array:
    xp = namespace(values)
    if presented is None:
        return xp.sum(values, axis=0) / values.shape[0]
    counted = xp.where(presented, values, xp.zeros_like(values))
    return xp.sum(counted, axis=0) / xp.sum(xp.astype(presented, values.dtype), axis=0)


def _result_type(values: Array) -> Any:
    return getattr(namespace(values), float_name(values))
