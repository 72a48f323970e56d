"""How a network changes while it is trained: the velocity of its kernel, the error between its children."""

from __future__ import annotations

import numpy as np

from .arrays import Array, as_array, beside, dtype_name, namespace, wide_float
from .checks import is_number
from .errors import PruneKitError


def kernel_velocity(kernel: Array, next_kernel: Array, /) -> float:
    """How far the tangent kernel of some examples has turned between two moments of training.

    Parameters
    ----------
    kernel, next_kernel
        Gram matrices of the same examples at both moments, shape (r, r), as `neural_tangent_kernel` of an
        adapter gives them. Their scale does not matter.

    Returns
    -------
    float
        In [0, 2], of positive semi-definite kernels in [0, 1]; higher is a faster change, 0 is none at all,
        or one of scale alone.
        Equals ``1 - (K * L).sum() / (norm(K) * norm(L))``, computed so that small velocities keep their
        digits.

    Raises
    ------
    PruneKitError
        If a kernel is no square matrix of finite numbers, is zero, or the shapes differ.

    References
    ----------
    Paul, Ganguli, Dziugaite, "Deep Learning on a Data Diet", NeurIPS 2021, section 5. Fort et al., "Deep
    learning versus kernel learning", NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np
    >>> kernel_velocity(np.eye(2), np.diag([2.0, 2.0]))
    0.0
    >>> round(kernel_velocity(np.eye(2), np.ones((2, 2))), 6)
    0.292893
    """
    first, second = _unit(kernel, "kernel"), _unit(next_kernel, "next_kernel")
    if first.shape != second.shape:
        raise PruneKitError(
            f"both kernels must be of the same examples and classes; got shapes {tuple(first.shape)} and "
            f"{tuple(second.shape)}."
        )
    second = beside(second, first)
    xp = namespace(first)
    # 1 - cos = |u - v|^2 / 2: the cosine itself is rounded to 1 long before its distance from 1 is lost.
    return min(float(xp.sum((first - second) ** 2)) / 2, 2.0)


def error_barrier(errors: Array, alphas: Array | None = None, /) -> float:
    """How far the error on the straight line between two networks rises above that of its ends.

    Parameters
    ----------
    errors
        Shape (points,), points >= 2: the error at each alpha on the line from one state of the weights
        (alpha 0) to the other (alpha 1), ends included, as an adapter's `error_path` gives it. Or losses.
    alphas
        Shape (points,), ascending from 0 to 1; by default equally spaced.

    Returns
    -------
    float
        ``max over a of err(a) - ((1 - a) * err(0) + a * err(1))``, in the unit of `errors`; 0 or more, for it
        is 0 at the ends. About 0: both networks lie in one linearly connected basin.

    Raises
    ------
    PruneKitError
        If the errors are not of this shape, real and finite, or the alphas do not fit them.

    References
    ----------
    Frankle, Dziugaite, Roy, Carbin, "Linear Mode Connectivity and the Lottery Ticket Hypothesis", ICML 2020.
    Paul, Ganguli, Dziugaite, "Deep Learning on a Data Diet", NeurIPS 2021, Figure 4.

    Examples
    --------
    >>> error_barrier([0.1, 0.5, 0.3])
    0.3
    >>> error_barrier([0.1, 0.2, 0.3], [0.0, 0.5, 1.0])
    0.0
    """
    heights = _points(errors, "errors")
    points = heights.shape[0]
    if points < 2:
        raise PruneKitError(f"`errors` must have both ends, 2 points or more; got {points}.")
    xp = namespace(heights)
    if alphas is None:
        at = beside(np.linspace(0.0, 1.0, points), heights)
    else:
        at = beside(_points(alphas, "alphas"), heights)
        if at.shape != heights.shape:
            raise PruneKitError(
                f"`alphas` must have shape ({points},), one per error; got {tuple(at.shape)}."
            )
        if float(at[0]) != 0 or float(at[-1]) != 1 or bool(xp.any(at[1:] <= at[:-1])):
            raise PruneKitError(
                f"`alphas` must ascend from 0 to 1, each once; they go from {float(at[0]):g} to "
                f"{float(at[-1]):g}.",
                hint="sort the points by alpha, and keep both ends",
            )
    line = (1 - at) * heights[0] + at * heights[-1]
    return float(xp.max(heights - line))


def _points(x: Array, name: str) -> Array:
    """The values at the points of a path, in the widest floats there are."""
    values = as_array(x, name)
    if values.ndim != 1:
        raise PruneKitError(f"`{name}` must have shape (points,); got {tuple(values.shape)}.")
    if not is_number(values):
        raise PruneKitError(f"`{name}` must be real numbers; got {dtype_name(values)}.")
    xp = namespace(values)
    values = xp.astype(values, wide_float(values))
    if not bool(xp.all(xp.isfinite(values))):
        raise PruneKitError(f"`{name}` must be finite.", hint="has a model on the path diverged?")
    return values


def _unit(x: Array, name: str) -> Array:
    """The matrix with Frobenius norm 1, in the widest floats there are."""
    kernel = as_array(x, name)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or kernel.shape[0] == 0:
        raise PruneKitError(f"`{name}` must be a square matrix; got shape {tuple(kernel.shape)}.")
    if not is_number(kernel):
        raise PruneKitError(f"`{name}` must hold real numbers; got {dtype_name(kernel)}.")
    xp = namespace(kernel)
    kernel = xp.astype(kernel, wide_float(kernel))
    largest = float(xp.max(xp.abs(kernel)))
    if not 0 < largest < float("inf"):
        found = "only zeros" if largest == 0 else "entries that are not finite"
        raise PruneKitError(
            f"`{name}` must be finite and not zero; it has {found}.",
            hint="no trainable parameter changes the logits" if largest == 0 else "has the model diverged?",
        )
    kernel = kernel / largest  # so that no square overflows or vanishes
    return kernel / xp.sqrt(xp.sum(kernel**2))
