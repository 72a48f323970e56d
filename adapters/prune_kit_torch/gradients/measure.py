"""One forward and backward pass that measures: the plan carried out on a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .collect import Collector
from .layout import Unsupported
from .losses import Loss, loss_gradients, scaled
from .plan import Plan, PlanChanged, Step
from .rules.use import Use
from .trace import Trace
from .watch import watch
from .workspace import Workspace


class Measurement(Trace):
    """Squared gradient norms of every example, for each parameter, by following `plan`."""

    def __init__(self, parameters: Sequence[Tensor], plan: Plan, workspace: Workspace, batch: int) -> None:
        super().__init__(parameters, list(parameters))
        self._plan, self._batch = plan, batch
        self._collector = Collector(plan, workspace, self.by_key, self.leaves, batch)
        self._anchor = torch.zeros((), requires_grad=True)

    def classify(
        self, index: int, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Step:
        """See `Trace`."""
        steps = self._plan.steps
        if index >= len(steps) or steps[index].name != name:
            raise PlanChanged
        return steps[index]

    def use(self, index: int, step: Step, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """See `Trace`."""

        def on_gradient(grad: Tensor, uses: list[tuple[Use, tuple[Tensor, ...]]]) -> None:
            if step.layout is None:
                if bool((grad != 0).any()):
                    raise PlanChanged
                return
            rows = step.layout.rows(self._batch, grad.shape[step.layout.axis])
            for use, saved in uses:
                self._collector.add(use.source.key, use.factor(rows, grad, *saved))

        return watch(self, step.name, func, args, kwargs, self._anchor, on_gradient)

    def run(
        self, forward: Callable[[], Tensor], check: Callable[[Tensor], None], loss: Loss, labels: Tensor
    ) -> tuple[dict[int, Tensor], Tensor, Tensor]:
        """Squared norms by parameter for scaled losses, the scale of each example, and the logits.

        Multiply the square roots by the scale (see `scaled`) for what was asked for.
        """
        logits = self.forward(forward)
        check(logits)
        if not logits.requires_grad:
            raise Unsupported(
                "the logits do not depend on the parameters in a way that can be differentiated"
            )
        _, gradient = loss_gradients(loss, logits, labels)
        cotangent, scale = scaled(gradient)
        self.backward(logits, cotangent)
        self._collector.flush()
        return self._collector.squared, scale, logits.detach()
