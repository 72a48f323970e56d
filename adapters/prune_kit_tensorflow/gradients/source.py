"""Tensors computed from variables alone, and the places where they meet examples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .rearrange import rearranged


@dataclass(eq=False)
class Source:
    """A tensor computed from the variables numbered in `variables`, which is what operations use.

    `steps` is how a tensor that merely rearranges entries of one variable came about: operations and which
    of their results; None where it is more than that.
    """

    variables: frozenset[int]
    shape: tuple[int, ...]
    steps: tuple[tuple[Any, int], ...] | None
    name: str
    _address: npt.NDArray[np.int64] | None = field(default=None, repr=False)

    def address(self, root: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """Which entry of the variable, of shape `root`, each entry of this tensor is."""
        if self._address is None:
            assert self.steps is not None
            place = np.arange(np.prod(root, dtype=np.int64)).reshape(root)
            for op, output in self.steps:
                place = rearranged(op, output, place)
            self._address = place
        return self._address


@dataclass(eq=False)
class Use:
    """Input `argument` of `op`, which also has inputs that differ between examples, is `source`."""

    step: int
    op: Any
    argument: int
    source: Source

    @property
    def other(self) -> Any:
        """The other input of an operation of two."""
        return self.op.inputs[1 - self.argument]
