"""One forward pass, and a backward pass for each logit through the same graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..gradients.collect import Collector
from ..gradients.factors import Factor, merge, transpose
from ..gradients.layout import Unsupported
from ..gradients.measure import Measurement
from ..gradients.plan import Group, Key
from ..gradients.written_out import WrittenOut

OnGroup = Callable[[Group, Factor], None]
"""Receives the gradients of all examples for the parameters of one group."""


class BackwardPasses(Measurement):
    """Gives the gradients of one logit of every example, group by group, as the passes arrive at them."""

    def forward(self, run: Callable[[], Tensor]) -> Tensor:
        """The logits that `run` gives, traced."""
        logits = super().forward(run)
        if not logits.requires_grad:
            raise Unsupported(
                "the logits do not depend on the parameters in a way that can be differentiated"
            )
        self._after_forward = self.step
        return logits

    def backward_of(self, logits: Tensor, k: int, on_group: OnGroup) -> None:
        """Propagate logit `k` of every example back; the graph stays for the next."""
        cotangent = torch.zeros_like(logits)
        cotangent[:, k] = 1
        self.step = self._after_forward  # what is checkpointed runs its part of the forward again
        self._collector = _Groups(self._collector, on_group)
        self.backward(logits, cotangent, retain_graph=True)
        self._collector.flush()


class _Groups(Collector):
    """Hands the finished groups on instead of taking norms."""

    def __init__(self, like: Collector, on_group: OnGroup) -> None:
        super().__init__(like._plan, like._workspace, like._sources, like._leaves, like._batch)
        self._on_group = on_group

    def _finish(self, group: Group, uses: list[tuple[Key, Factor]]) -> None:
        del self._waiting[id(group)]
        self._done.add(id(group))
        if group.written_out:
            self._on_group(group, WrittenOut(group, uses, self._sources, self._leaves))
            return
        factors = [transpose(factor) if key in group.transposed else factor for key, factor in uses]
        self._on_group(group, merge(factors))
