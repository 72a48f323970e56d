"""Scores from gradients: the norm over all parameters, and the factor that the last layer's input gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ._columns import columns
from ._lazy import lazy_columns
from ._norms import norm_type, row_norms
from ._tasks import Task
from .arrays import Array, as_array, beside, is_dask, namespace
from .checks import check_sizes, is_number
from .errors import PruneKitError


def grand(gradients: object, /) -> Array:
    """GraNd: the L2 norm of each example's gradient over all parameters.

    Parameters
    ----------
    gradients
        Gradient of each example's *own* loss, one row per example: an array (n, ...), or a sequence or
        mapping of arrays (n, ...), one per parameter. Gradients taken through a loss that is averaged over
        a batch are too small by the batch's size, which differs in a shorter last batch: do not average.
        The adapters' `gradient_norms` do not, and never hold such arrays.

    Returns
    -------
    Array
        Shape (n,), at least 0; higher is harder. One norm over all parameters, scaled inside so that no
        square over- or underflows. float64 if any of the arrays is, else float32.

    Raises
    ------
    PruneKitError
        For NaN or infinite entries, no entries at all, and numbers of rows that differ.

    References
    ----------
    Paul, Ganguli, Dziugaite. Deep Learning on a Data Diet. NeurIPS 2021. Definition 2.1, for one
    initialisation. At initialisation it is close to a norm of the input and selects no better than chance
    (arXiv 2303.14753): train for a few epochs first.

    Examples
    --------
    >>> import numpy as np
    >>> from prune_kit.scores import grand
    >>> grand({"weight": np.array([[3e30, 0.0], [0.0, 1.0]]), "bias": np.array([4e30, 0.0])})
    array([5.e+30, 1.e+00])
    """
    arrays = _gradient_arrays(gradients)
    n = arrays[0][1].shape[0]
    for name, array in arrays:
        if array.shape[0] != n:
            raise PruneKitError(
                f"`gradients` must have one row per example in each array; got {n} rows in {arrays[0][0]} "
                f"and {array.shape[0]} in {name}.",
                hint="the first axis is the example, the others the parameter's own",
            )
    rows = [beside(array, arrays[0][1]) for _, array in arrays if 0 not in array.shape[1:]]
    if n == 0 or not rows:
        raise PruneKitError(
            f"`gradients` must not be empty; got shapes {[tuple(array.shape) for _, array in arrays]}.",
            hint="give at least one example and one parameter",
        )
    return _norms(rows, "gradients")


def _gradient_arrays(gradients: object) -> list[tuple[str, Array]]:
    items: list[tuple[str, object]]
    if isinstance(gradients, Mapping):
        items = [(repr(key), value) for key, value in gradients.items()]
    elif isinstance(gradients, (list, tuple)) and _are_arrays(gradients):
        items = [(f"array {i}", item) for i, item in enumerate(gradients)]
    else:
        items = [("`gradients`", gradients)]
    if not items:
        raise PruneKitError("`gradients` must hold at least one array; got none.", hint="one per parameter")
    arrays = []
    for name, item in items:
        array = as_array(item, "gradients")
        check_sizes(array, "gradients")
        if array.ndim == 0 or not is_number(array):
            raise PruneKitError(
                f"`gradients` must hold numbers of shape (n, ...); got shape {tuple(array.shape)}, "
                f"{array.dtype} in {name}.",
                hint="one row per example",
            )
        arrays.append((name, array))
    return arrays


def _are_arrays(items: Sequence[object]) -> bool:
    return not items or any(hasattr(item, "shape") for item in items)


def grand_last_layer(
    logits: object,
    labels: object,
    features: object,
    /,
    *,
    bias: bool = True,
    task: Task = "multiclass",
) -> Array:
    """GraNd of the last linear layer alone: its exact gradient norm, in closed form.

    The gradient of the cross-entropy with respect to the weights of the last layer is the outer product of
    softmax(logits) - y and the layer's input h, and that of its bias is softmax(logits) - y, so that the norm
    over both is ``el2n * sqrt(||h||^2 + 1)``. The same holds for the summed binary cross-entropy of sigmoids
    and for half the squared error of a regression, with the error vectors that `el2n` has for them.

    Parameters
    ----------
    logits, labels
        As in `el2n`.
    features
        Inputs of the last layer, shape (n, d) (more axes are flattened), finite.
    bias
        Whether the layer has a bias that is trained.
    task
        As in `el2n`.

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
    errors = columns(logits, labels, ("el2n",), task=task)["el2n"]
    return errors * feature_scale(features, errors, bias=bias)


def feature_scale(features: object, errors: Array, *, bias: bool) -> Array:
    """sqrt(||h||^2 + 1), or ||h|| without bias, (n,), beside `errors` (n,)."""
    rows = as_array(features, "features")
    n = errors.shape[0]
    if rows.ndim < 2 or rows.shape[0] != n or 0 in rows.shape[1:] or not is_number(rows):
        raise PruneKitError(
            f"`features` must be numbers of shape ({n}, d), one row per row of `logits`; "
            f"got {tuple(rows.shape)}, {rows.dtype}.",
            hint="they are the inputs of the last linear layer",
        )
    norms = _norms([beside(rows, errors)], "features")
    xp = namespace(norms)
    norms = xp.astype(norms, errors.dtype, copy=False)
    return xp.hypot(norms, xp.ones_like(norms)) if bias else norms


def _norms(arrays: list[Array], name: str) -> Array:
    if not any(is_dask(array) for array in arrays):
        return row_norms(arrays, name)
    types: dict[str, np.dtype[Any]] = {"norm": np.dtype(norm_type([array._meta for array in arrays]))}
    return lazy_columns(partial(_chunk_norms, name=name), arrays, types)["norm"]


def _chunk_norms(*chunks: Array, name: str, first_row: int) -> dict[str, Array]:
    return {"norm": row_norms(chunks, name, first_row=first_row)}
