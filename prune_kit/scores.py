"""Scores of one checkpoint: one number per example, higher is harder.

Float types: float64 is computed and answered in float64, float32 in float32. float16 and bfloat16 are
computed from their exact values in float32 and answered in float32, because scores rounded to 8 or 11 bits
would tie by the thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ._columns import class_probabilities, columns
from ._gradients import feature_scale, grand, grand_last_layer
from ._margins import logit_margin, margin, p_label, predicted
from ._tasks import Task, check_task
from .arrays import Array, as_array
from .errors import PruneKitError

__all__ = [
    "SCORE_NAMES",
    "check_score_names",
    "cross_entropy",
    "el2n",
    "entropy",
    "error_norm",
    "grand",
    "grand_last_layer",
    "logit_margin",
    "margin",
    "p_label",
    "predicted",
    "score_columns",
]

SCORE_NAMES = (
    "el2n",
    "error_l1",
    "margin",
    "margin_sum",
    "logit_margin",
    "cross_entropy",
    "entropy",
    "grand_last_layer",
)
"""What `score_columns` computes by name; in each, higher is harder."""


def el2n(logits: object, labels: object, /, *, from_logits: bool = True, task: Task = "multiclass") -> Array:
    """EL2N: the L2 norm of the error vector, softmax(logits) - onehot(labels).

    Parameters
    ----------
    logits
        Shape (n, c), c >= 2, finite. With ``from_logits=False`` probabilities, whose rows sum to 1.
    labels
        Class of each example, integers of shape (n,) in [0, c), or a distribution over the classes, (n, c).
    from_logits
        Whether `logits` are logits or probabilities.
    task
        What the outputs stand for, and with it the error vector:

        - "multiclass": softmax(logits) - labels, as above.
        - "multilabel": sigmoid(logits) - labels, for `labels` (n, c) in [0, 1] (or bool), c >= 1. With
          ``from_logits=False``, `logits` are probabilities in [0, 1].
        - "regression": logits - labels, the residual of predictions (n,) or (n, d) and targets of the same
          shape. ``from_logits=False`` has no meaning and is refused.

    Returns
    -------
    Array
        Shape (n,), in [0, sqrt(2)); higher is harder. In [0, sqrt(c)] for "multilabel", in [0, inf) for
        "regression". Of the library and device of `logits`. Equals
        ``np.linalg.norm(softmax(logits) - onehot, axis=1)``, without that expression's loss of digits for
        examples that the model is sure of: relative error below 1e-5 in float32 at any confidence, also for
        sigmoids, where labels are 0 or 1.

    Raises
    ------
    PruneKitError
        For NaN or infinite logits, labels out of range, shapes that do not fit, empty input. With Dask,
        values are checked when the result is computed.

    References
    ----------
    Paul, Ganguli, Dziugaite. Deep Learning on a Data Diet. NeurIPS 2021. Definition 2.3, for one
    initialisation: average over several with `mean_over_seeds`.

    Examples
    --------
    >>> import numpy as np
    >>> from prune_kit.scores import el2n
    >>> el2n(np.array([[0.0, 0.0], [20.0, 0.0]]), np.array([0, 0]))
    array([7.07106781e-01, 2.91491140e-09])
    """
    return columns(logits, labels, ("el2n",), from_logits=from_logits, task=task)["el2n"]


def error_norm(
    logits: object,
    labels: object,
    /,
    *,
    ord: Literal[1, 2] = 2,
    from_logits: bool = True,
    task: Task = "multiclass",
) -> Array:
    """Norm of the error vector, softmax(logits) - onehot(labels): L1 or, as in `el2n`, L2.

    Parameters
    ----------
    logits, labels, from_logits, task
        As in `el2n`.
    ord
        1 for the sum of absolute errors, which is ``2 * (1 - p_label)`` and lies in [0, 2] for one class per
        example, in [0, c] for "multilabel"; 2 for `el2n`.

    Returns
    -------
    Array
        Shape (n,); higher is harder.

    Raises
    ------
    PruneKitError
        As in `el2n`, and for another `ord`.
    """
    if ord not in (1, 2):
        raise PruneKitError(f"`ord` must be 1 or 2; got {ord!r}.", hint="2 gives EL2N")
    name = "error_l1" if ord == 1 else "el2n"
    return columns(logits, labels, (name,), from_logits=from_logits, task=task)[name]


def cross_entropy(logits: object, labels: object, /, *, task: Task = "multiclass") -> Array:
    """Cross-entropy loss of each example, -log p_label, in nats; for soft labels -sum_j y_j log p_j.

    Parameters
    ----------
    logits, labels
        As in `el2n`.
    task
        "multiclass", or "multilabel" for the sum over the labels of the binary cross-entropies,
        -y_j log p_j - (1 - y_j) log(1 - p_j) with p = sigmoid(logits). Not defined for "regression".

    Returns
    -------
    Array
        Shape (n,), in [0, inf); higher is harder. Keeps its digits where p_label rounds to 1.

    Raises
    ------
    PruneKitError
        As in `el2n`.

    Examples
    --------
    >>> import numpy as np
    >>> from prune_kit.scores import cross_entropy
    >>> cross_entropy(np.array([[40.0, 0.0], [0.0, 40.0]]), np.array([0, 0]))
    array([4.24835426e-18, 4.00000000e+01])
    """
    return columns(logits, labels, ("cross_entropy",), task=task)["cross_entropy"]


def entropy(logits: object, /, *, from_logits: bool = True, task: Task = "multiclass") -> Array:
    """Entropy of each prediction in nats: how undecided the model is, whatever the label.

    Parameters
    ----------
    logits, from_logits
        As in `el2n`.
    task
        "multiclass", or "multilabel" for the sum of the entropies of the labels, present or absent. Not
        defined for "regression".

    Returns
    -------
    Array
        Shape (n,), in [0, log c], for "multilabel" in [0, c log 2]; higher is harder.

    Raises
    ------
    PruneKitError
        As in `el2n`.

    Examples
    --------
    >>> import numpy as np
    >>> from prune_kit.scores import entropy
    >>> entropy(np.zeros((1, 4)))
    array([1.38629436])
    """
    return columns(logits, None, ("entropy",), from_logits=from_logits, task=task)["entropy"]


def check_score_names(
    scores: Sequence[str], /, *, known: Sequence[str] = SCORE_NAMES, hint: str | None = None
) -> None:
    """Refuse `scores` that is not a sequence of names out of `known`, before any work is done.

    `hint` says what to do about a name that is not known, where there is more to say than for one model's.

    Raises
    ------
    PruneKitError
        For a name that is not known, or a single string.
    """
    if isinstance(scores, str):
        raise PruneKitError(f"`scores` must be a sequence of names; got {scores!r}.", hint=f"({scores!r},)")
    unknown = [name for name in scores if name not in known]
    if unknown:
        raise PruneKitError(
            f"`scores` must be among {', '.join(known)}; got {', '.join(map(repr, unknown))}.",
            hint=hint
            or (None if "grand" in known else "grand needs gradients: score with --framework torch"),
        )


def score_columns(
    logits: object,
    labels: object,
    /,
    *,
    scores: Sequence[str] = ("el2n",),
    from_logits: bool = True,
    features: object = None,
    bias: bool = True,
    probabilities: bool = False,
    task: Task = "multiclass",
) -> dict[str, Array]:
    """Several scores in one pass over the logits.

    Parameters
    ----------
    logits, labels, from_logits
        As in `el2n`.
    scores
        Names out of `SCORE_NAMES`.
    features, bias
        Inputs of the last layer, and whether it has a bias, for "grand_last_layer".
    probabilities
        Whether to give the probability of every class too, for `flag_noise`.
    task
        As in `el2n`; the scores that each task defines are named in the error for another.

    Returns
    -------
    dict of str to Array
        "predicted" (integers), "p_label" and each score, all (n,); at the end "probabilities", (n, c),
        float32, where they are asked for. Labels of shape (n, c) have no "p_label": which column there is
        must not depend on whether their values are soft or one-hot. Other tasks than "multiclass" have the
        scores alone.

    Raises
    ------
    PruneKitError
        As in `el2n`; for unknown names, for scores that the task does not define, and for missing `features`.

    Examples
    --------
    >>> import numpy as np
    >>> from prune_kit.scores import score_columns
    >>> list(score_columns(np.eye(3), np.array([0, 1, 2]), scores=("el2n", "entropy")))
    ['predicted', 'p_label', 'el2n', 'entropy']
    """
    check_score_names(scores)
    check_task(task, scores, from_logits=from_logits)
    if probabilities and task != "multiclass":
        raise PruneKitError(
            f'probabilities=True needs task="multiclass"; got task="{task}".',
            hint="leave it out: these are the probabilities of classes that exclude each other",
        )
    given: Array = as_array(labels, "labels")
    wanted = list(scores)
    if task == "multiclass":
        wanted = ["predicted", *([] if given.ndim == 2 else ["p_label"]), *wanted]
    if "grand_last_layer" not in scores:
        result = columns(logits, given, wanted, from_logits=from_logits, task=task)
    else:
        if features is None:
            raise PruneKitError(
                'the score "grand_last_layer" must have `features`; got None.',
                hint="give the inputs of the last layer, (n, d)",
            )
        direct = [name for name in wanted if name != "grand_last_layer"]
        names = list(dict.fromkeys([*direct, "el2n"]))
        result = columns(logits, given, names, from_logits=from_logits, task=task)
        result["grand_last_layer"] = result["el2n"] * feature_scale(features, result["el2n"], bias=bias)
        result = {name: result[name] for name in wanted}
    if probabilities:
        result["probabilities"] = class_probabilities(logits, from_logits=from_logits)
    return result
