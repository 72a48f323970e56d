"""Nothing is believed before it was seen: examples apart and together, and norms against the definition."""

from __future__ import annotations

import torch
from torch import Tensor

from prune_kit.errors import PruneKitError

_EXAMPLES = 3


def sample(batch: int) -> Tensor:
    """Positions of a few examples spread over the batch."""
    return torch.tensor(sorted({round(i * (batch - 1) / (_EXAMPLES - 1)) for i in range(_EXAMPLES)}))


def tolerance(dtype: torch.dtype) -> float:
    """How far two right computations in `dtype` may lie apart, relatively."""
    return {torch.float64: 1e-8, torch.float32: 1e-4}.get(dtype, 0.06)


def check_independent(together: Tensor, apart: Tensor, what: str) -> None:
    """Raise unless what examples give together equals what they give one at a time, shape (k, ...).

    Raises
    ------
    PruneKitError
        If an example's result depends on its neighbours.
    """
    allowed = 10 * tolerance(together.dtype)
    scale = apart.abs().max().clamp(min=1e-3)
    if bool(((together - apart).abs() > allowed * scale).any()):
        gap = float((together - apart).abs().max() / scale)
        raise PruneKitError(
            f"the {what} of an example must not depend on the other examples of the batch; one at a time "
            f"gives others, by {gap:.1e} of their size.",
            hint="a BatchNorm without running statistics, dropout that ignores eval() or a loss that compares"
            " examples does this; there is no gradient of one example then",
        )


def agree(squared: Tensor, reference: Tensor, dtype: torch.dtype) -> bool:
    """Whether both (k, parameters) squared norms mean the same, in total and for each parameter.

    A parameter's own norm is compared relative to the total: rounding in a deep network is of that size.
    """
    reference = torch.nan_to_num(reference)
    norm, right = squared.double().sum(1).sqrt(), reference.double().sum(1).sqrt()
    allowed = tolerance(dtype)
    total = (norm - right).abs() <= allowed * right
    each = (squared.double().sqrt() - reference.double().sqrt()).abs() <= allowed * right[:, None]
    return bool(total.all()) and bool(each.all())
