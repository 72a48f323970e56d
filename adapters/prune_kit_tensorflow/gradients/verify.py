"""Nothing is believed before it was seen: examples apart and together, and norms against the definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from prune_kit.errors import PruneKitError

_EXAMPLES = 3


def sample(batch: int) -> list[int]:
    """Positions of a few examples spread over the batch."""
    return sorted({round(i * (batch - 1) / (_EXAMPLES - 1)) for i in range(_EXAMPLES)})


def tolerance(dtype: str) -> float:
    """How far two right computations in `dtype` may lie apart, relatively."""
    return {"float64": 1e-8, "float32": 1e-4}.get(dtype, 0.06)


def check_independent(together: Any, apart: Any, what: str) -> None:
    """Raise unless what examples give together equals what they give one at a time, tensors (k, ...).

    Raises
    ------
    PruneKitError
        If an example's result depends on its neighbours.
    """
    gap = _gap(together, apart)
    if gap > 10 * tolerance(together.dtype.name):
        raise PruneKitError(
            f"the {what} of an example must not depend on the other examples of the batch; one at a time "
            f"gives others, by {gap:.1e} of their size.",
            hint="a BatchNorm without running statistics, dropout that ignores eval() or a loss that compares"
            " examples does this; there is no gradient of one example then",
        )


def same(logits: Any, expected: Any) -> bool:
    """Whether two tensors are the same but for rounding."""
    return _gap(logits, expected) <= 10 * tolerance(logits.dtype.name)


def _gap(one: Any, other: Any) -> float:
    """The largest difference of two tensors, relative to the largest entry of `other`."""
    one, other = (np.asarray(t).astype(np.float64) for t in (one, other))
    return float(np.abs(one - other).max(initial=0)) / max(float(np.abs(other).max(initial=0)), 1e-3)


def agree(squared: Any, reference: Any, dtype: str) -> bool:
    """Whether both (k, variables) squared norms mean the same, in total and for each variable.

    A variable's own norm is compared relative to the total: rounding in a deep network is of that size.
    """
    squared, reference = np.asarray(squared), np.nan_to_num(np.asarray(reference))
    norm, right = np.sqrt(squared.sum(1)), np.sqrt(reference.sum(1))
    allowed = tolerance(dtype)
    total = np.abs(norm - right) <= allowed * right
    each = np.abs(np.sqrt(squared) - np.sqrt(reference)) <= allowed * right[:, None]
    return bool(total.all() and each.all())
