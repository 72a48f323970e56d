"""Adding up the squared norms while the backward pass delivers gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .factors import Factor, merge, squares, transpose
from .plan import Group, Key, Plan, PlanChanged
from .source import Source
from .workspace import Workspace
from .written_out import WrittenOut


class Collector:
    """Receives the gradients of uses; `squared[i]` is then the squared norm of parameter i's, shape (batch,).

    A parameter's uses are held until all that the plan foresees are there: norms of sums, not sums of norms.
    """

    def __init__(
        self,
        plan: Plan,
        workspace: Workspace,
        sources: Mapping[Key, Source],
        leaves: Sequence[Tensor],
        batch: int,
    ) -> None:
        self.squared: dict[int, Tensor] = {}
        self._plan, self._workspace, self._sources, self._leaves = plan, workspace, sources, leaves
        self._batch = batch
        self._waiting: dict[int, list[tuple[Key, Factor]]] = {}
        self._done: set[int] = set()

    def add(self, key: Key, factor: Factor) -> None:
        """One more use; its group is finished once complete."""
        group = self._plan.groups.get(key)
        if group is None or id(group) in self._done:
            raise PlanChanged
        waiting = self._waiting.setdefault(id(group), [])
        waiting.append((key, factor))
        if len(waiting) == group.uses:
            self._finish(group, waiting)

    def flush(self) -> None:
        """Finish groups some of whose uses did not receive a gradient in this batch."""
        for group in {id(g): g for g in self._plan.groups.values()}.values():
            waiting = self._waiting.get(id(group))
            if waiting:
                self._finish(group, waiting)

    def _finish(self, group: Group, uses: list[tuple[Key, Factor]]) -> None:
        del self._waiting[id(group)]
        self._done.add(id(group))
        if group.written_out:
            self._write_out(group, uses)
            return
        factors = [transpose(factor) if key in group.transposed else factor for key, factor in uses]
        self._count(group.parameters[0], merge(factors).squared_norms(self._workspace))

    def _write_out(self, group: Group, uses: list[tuple[Key, Factor]]) -> None:
        whole = WrittenOut(group, uses, self._sources, self._leaves)
        blocks = self._workspace.blocks(self._batch, whole.numbers, whole.itemsize)
        parts: list[list[Tensor]] = [[] for _ in group.parameters]
        for start, stop in blocks:
            for j, total in enumerate(whole.gradients(start, stop)):
                if total is not None:
                    parts[j].append(squares(total.float() if total.element_size() < 4 else total))
        for i, part in zip(group.parameters, parts, strict=True):
            if part:
                self._count(i, torch.cat(part))

    def _count(self, parameter: int, squared: Tensor) -> None:
        known = self.squared.get(parameter)
        self.squared[parameter] = squared if known is None else known + squared.to(known.device)
