"""Scores of one checkpoint: one number per example, higher is harder.

Float types: float64 is computed and answered in float64, float32 in float32. float16 and bfloat16 are
computed from their exact values in float32 and answered in float32, because scores rounded to 8 or 11 bits
would tie by the thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ._columns import class_probabilities, columns
from ._gradients import feature_scale, grand
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


def el2n(logits: object, labels: object, /, *, from_logits: bool = True) -> Array:
    """EL2N: the L2 norm of the error vector, softmax(logits) - onehot(labels).

    Parameters
    ----------
    logits
        Shape (n, c), c >= 2, finite. With ``from_logits=False`` probabilities, whose rows sum to 1.
    labels
        Class of each example, integers of shape (n,) in [0, c), or a distribution over the classes, (n, c).
    from_logits
        Whether `logits` are logits or probabilities.

    Returns
    -------
    Array
        Shape (n,), in [0, sqrt(2)); higher is harder. Of the library and device of `logits`. Equals
        ``np.linalg.norm(softmax(logits) - onehot, axis=1)``, without that expression's loss of digits for
        examples that the model is sure of: relative error below 1e-5 in float32 at any confidence.

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
    return columns(logits, labels, ("el2n",), from_logits=from_logits)["el2n"]


def error_norm(
    logits: object, labels: object, /, *, ord: Literal[1, 2] = 2, from_logits: bool = True
) -> Array:
    """Norm of the error vector, softmax(logits) - onehot(labels): L1 or, as in `el2n`, L2.

    Parameters
    ----------
    logits, labels, from_logits
        As in `el2n`.
    ord
        1 for the sum of absolute errors, which is ``2 * (1 - p_label)`` and lies in [0, 2]; 2 for `el2n`.

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
    return columns(logits, labels, (name,), from_logits=from_logits)[name]


def margin(
    logits: object, labels: object, /, *, reduce: Literal["max", "sum"] = "max", from_logits: bool = True
) -> Array:
    """Margin of the other classes over the label: p_j - p_label, its maximum or sum over j != label.

    Note the sign: unlike the margins of AUM, higher is harder.

    Parameters
    ----------
    logits, from_logits
        As in `el2n`.
    labels
        Integers (n,), or one-hot rows (n, c): a margin needs one class per example.
    reduce
        "max" for the strongest other class, in [-1, 1], positive where the prediction is wrong;
        "sum" for all of them, in [-(c - 1), 1].

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
    return columns(logits, labels, (name,), from_logits=from_logits)[name]


def logit_margin(logits: object, labels: object, /) -> Array:
    """Margin in logits: the largest logit of the other classes less the label's.

    What `aum` is the mean of, with the opposite sign to that paper's: higher is harder.

    Parameters
    ----------
    logits
        As in `el2n`.
    labels
        Integers (n,), or one-hot rows (n, c).

    Returns
    -------
    Array
        Shape (n,), any real number, positive where the prediction is wrong; higher is harder. Adding a
        constant to an example's logits changes nothing, a factor scales it.

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
    return columns(logits, labels, ("logit_margin",))["logit_margin"]


def cross_entropy(logits: object, labels: object, /) -> Array:
    """Cross-entropy loss of each example, -log p_label, in nats; for soft labels -sum_j y_j log p_j.

    Parameters
    ----------
    logits, labels
        As in `el2n`.

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
    return columns(logits, labels, ("cross_entropy",))["cross_entropy"]


def entropy(logits: object, /, *, from_logits: bool = True) -> Array:
    """Entropy of each prediction in nats: how undecided the model is, whatever the label.

    Parameters
    ----------
    logits, from_logits
        As in `el2n`.

    Returns
    -------
    Array
        Shape (n,), in [0, log c]; higher is harder.

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
    return columns(logits, None, ("entropy",), from_logits=from_logits)["entropy"]


def grand_last_layer(logits: object, labels: object, features: object, /, *, bias: bool = True) -> Array:
    """GraNd of the last linear layer alone: its exact gradient norm, in closed form.

    The gradient of the cross-entropy with respect to the weights of the last layer is the outer product of
    softmax(logits) - y and the layer's input h, and that of its bias is softmax(logits) - y, so that the norm
    over both is ``el2n * sqrt(||h||^2 + 1)``.

    Parameters
    ----------
    logits, labels
        As in `el2n`.
    features
        Inputs of the last layer, shape (n, d) (more axes are flattened), finite.
    bias
        Whether the layer has a bias that is trained.

    Returns
    -------
    Array
        Shape (n,), at least 0; higher is harder.

    Raises
    ------
    PruneKitError
        As in `el2n`; for features that are not finite or not one row per example.

    References
    ----------
    Paul, Ganguli, Dziugaite. Deep Learning on a Data Diet. NeurIPS 2021. Definition 2.1, for the last layer
    alone and one initialisation.
    """
    errors = columns(logits, labels, ("el2n",))["el2n"]
    return errors * feature_scale(features, errors, bias=bias)


def check_score_names(scores: Sequence[str], /, *, known: Sequence[str] = SCORE_NAMES) -> None:
    """Refuse `scores` that is not a sequence of names out of `known`, before any work is done.

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
            hint=None if "grand" in known else "grand needs gradients: score with --framework torch",
        )


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


def score_columns(
    logits: object,
    labels: object,
    /,
    *,
    scores: Sequence[str] = ("el2n",),
    from_logits: bool = True,
    features: object = None,
    bias: bool = True,
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

    Returns
    -------
    dict of str to Array
        "predicted" (integers), "p_label" and each score, all (n,). Labels of shape (n, c) have no
        "p_label": which column there is must not depend on whether their values are soft or one-hot.

    Raises
    ------
    PruneKitError
        As in `el2n`; for unknown names, and for missing `features`.

    Examples
    --------
    >>> import numpy as np
    >>> from prune_kit.scores import score_columns
    >>> list(score_columns(np.eye(3), np.array([0, 1, 2]), scores=("el2n", "entropy")))
    ['predicted', 'p_label', 'el2n', 'entropy']
    """
    check_score_names(scores)
    if "logit_margin" in scores and not from_logits:
        raise PruneKitError(
            'the score "logit_margin" needs logits; got from_logits=False.',
            hint='"margin" is the one of probabilities',
        )
    given: Array = as_array(labels, "labels")
    wanted = ["predicted", *([] if given.ndim == 2 else ["p_label"]), *scores]
    if "grand_last_layer" not in scores:
        return columns(logits, given, wanted, from_logits=from_logits)
    if features is None:
        raise PruneKitError(
            'the score "grand_last_layer" must have `features`; got None.',
            hint="give the inputs of the last layer, (n, d)",
        )
    direct = [name for name in wanted if name != "grand_last_layer"]
    result = columns(logits, given, list(dict.fromkeys([*direct, "el2n"])), from_logits=from_logits)
    result["grand_last_layer"] = result["el2n"] * feature_scale(features, result["el2n"], bias=bias)
    return {name: result[name] for name in wanted}
