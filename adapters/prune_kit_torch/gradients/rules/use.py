"""What a rule says about an operation: which parameters it uses, and the form their gradients take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..factors import Factor
from ..source import Source


@dataclass(eq=False)
class Use:
    """One parameter in one operation.

    `factor(rows, grad, *saved)` gives the per-example gradients of `source` from the gradient of the
    operation's output, given where the examples lie in that output.
    """

    source: Source
    saved: tuple[Tensor, ...]
    factor: Callable[..., Factor]
    slow: bool = False
