"""A parameter as operations meet it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .plan import Key


@dataclass(eq=False)
class Source:
    """A parameter, or a tensor computed from parameters alone.

    `attached` carries the graph back to stand-ins of the parameters, `value` is cut off from it.
    """

    key: Key
    attached: Tensor
    value: Tensor
