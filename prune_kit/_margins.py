"""Scores that compare the label's class with the strongest other, and the prediction itself."""

from __future__ import annotations

from typing import Literal

from ._columns import columns
from ._tasks import Task
from .arrays import Array
from .errors import PruneKitError


def margin(
    logits: object,
    labels: object,
    /,
    *,
    reduce: Literal["max", "sum"] = "max",
    from_logits: bool = True,
    task: Task = "multiclass",
) -> Array:
    """Margin of the other classes over the label: p_j - p_label, its maximum or sum over j != label.

    Note the sign: unlike the margins of AUM, higher is harder.

    Parameters
    ----------
    logits, from_logits
        As in `el2n`.
    labels
        Integers (n,), or one-hot rows (n, c): a margin needs one class per example. With
        ``task="multilabel"`` zeros and ones, (n, c).
    reduce
        "max" for the strongest other class, in [-1, 1], positive where the prediction is wrong;
        "sum" for all of them, in [-(c - 1), 1].
    task
        "multiclass", or "multilabel", where each label is a choice between present and absent: the largest
        over the labels of ``p_wrong - p_right``, positive where a label is predicted wrongly. There "sum"
        is refused, being ``2 * error_norm(..., ord=1) - c``.

    Returns
    -------
    Array
        Shape (n,); higher is harder. The relative error stays small also near zero; for "sum" that takes
        float64 inside, which JAX has only where ``jax_enable_x64`` is set or the array lies on a CPU.

    Raises
    ------
    PruneKitError
        As in `el2n`; for labels that are not one-hot and for another `reduce`.

    Examples
    --------
    >>> import numpy as np
    >>> from prune_kit.scores import margin
    >>> margin(np.log([[0.5, 0.3, 0.2]]), np.array([0]))
    array([-0.2])
    >>> margin(np.log([[0.5, 0.3, 0.2]]), np.array([0]), reduce="sum")
    array([-0.5])
    """
    if reduce not in ("max", "sum"):
        raise PruneKitError(
            f'`reduce` must be "max" or "sum"; got {reduce!r}.', hint='"max" is the usual margin'
        )
    name = "margin" if reduce == "max" else "margin_sum"
    return columns(logits, labels, (name,), from_logits=from_logits, task=task)[name]


def logit_margin(logits: object, labels: object, /, *, task: Task = "multiclass") -> Array:
    """Margin in logits: the largest logit of the other classes less the label's.

    What `aum` is the mean of, with the opposite sign to that paper's: higher is harder.

    Parameters
    ----------
    logits
        As in `el2n`.
    labels
        Integers (n,), or one-hot rows (n, c); with ``task="multilabel"`` zeros and ones, (n, c).
    task
        "multiclass", or "multilabel": the largest over the labels of ``-z`` where the label is present and
        ``z`` where it is absent, so that `margin` is ``tanh(logit_margin / 2)``.

    Returns
    -------
    Array
        Shape (n,), any real number, positive where the prediction is wrong; higher is harder. Adding a
        constant to an example's logits changes nothing (of a softmax), a factor scales it.

    Raises
    ------
    PruneKitError
        As in `el2n`, and for labels that are not one-hot.

    References
    ----------
    Pleiss, Zhang, Elenberg, Weinberger. Identifying Mislabeled Data using the Area Under the Margin Ranking.
    NeurIPS 2020. Equation 1, negated.

    Examples
    --------
    >>> import numpy as np
    >>> from prune_kit.scores import logit_margin
    >>> logit_margin(np.array([[2.0, 0.5, 1.0], [2.0, 0.5, 1.0]]), np.array([0, 1]))
    array([-1. ,  1.5])
    """
    return columns(logits, labels, ("logit_margin",), task=task)["logit_margin"]


def p_label(logits: object, labels: object, /, *, from_logits: bool = True) -> Array:
    """Probability of the label, (n,), in [0, 1]: no score, for higher is easier.

    Parameters and errors are those of `margin`: the labels are integers (n,) or one-hot (n, c).
    """
    return columns(logits, labels, ("p_label",), from_logits=from_logits)["p_label"]


def predicted(logits: object, /) -> Array:
    """Class of the largest logit (or probability) of each row, integers (n,); the first of equals.

    Logits must have shape (n, c), c >= 2, and be finite, as in `el2n`.
    """
    return columns(logits, None, ("predicted",))["predicted"]
