"""Learning a model's plan from a few examples: where the batch lies, and which uses belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from .groups import group_uses
from .layout import Layout, Unsupported, find_layout
from .plan import Key, Plan, Step
from .rules.use import Use
from .source import Source
from .trace import Trace, changes_in_place
from .watch import watch

EXAMPLES = 3
"""Examples whose losses are propagated back one by one."""

Run = Callable[[], Tensor]
"""Calls the model on the probe's batch; gives the logits."""


def probe_size(parameters: Sequence[Tensor]) -> int:
    """A batch size that no axis of the parameters is a multiple of, if there is a small one.

    What merely has a batch's length is told apart anyway, but costs another pass.
    """
    lengths = [n for p in parameters for n in p.shape]
    return min((3, 5, 7), key=lambda size: sum(n % size == 0 for n in lengths))


def probe(run: Run, parameters: Sequence[Tensor], size: int) -> Plan:
    """The plan for the model that `run` calls on a batch of `size` examples.

    Raises
    ------
    Unsupported
        If an operation mixes examples, or cannot be followed.
    """
    for attempt in range(_ATTEMPTS):
        values = [_varied(p, attempt) for p in parameters]
        plan, unseen = _learn(run, parameters, values, size)
        if not unseen:
            break
    return plan


def _learn(run: Run, parameters: Sequence[Tensor], values: Sequence[Tensor], size: int) -> tuple[Plan, bool]:
    """A plan from these values, and whether some operation received too few gradients to place the batch."""
    shared: set[int] = set()
    while True:
        passes = [_Pass(parameters, values, shared, size, example) for example in range(EXAMPLES)]
        for one in passes:
            one.go(run)
        if any(one.names != passes[0].names for one in passes):
            raise Unsupported("the model does not take the same steps every time")
        layouts: dict[int, Layout] = {}
        reached = sorted(set().union(*(one.touched for one in passes)))
        mixed = None
        for index in reached:
            touched = [one.touched.get(index) for one in passes]
            seen = [t for t in touched if t is not None]
            if len(seen) < EXAMPLES or sum(bool(t.any()) for t in seen) < 2:
                continue
            layout = find_layout(seen, size)
            if layout is None:
                if index not in passes[0].candidates:
                    raise Unsupported(f"`{passes[0].names[index]}` mixes examples")
                mixed = index
                break
            layouts[index] = layout
        if mixed is None:
            return _plan(passes, reached, layouts, len(parameters)), len(layouts) < len(reached)
        # Not examples, then, but a tensor computed from parameters; later steps change their numbers.
        shared.add(mixed)


_ATTEMPTS = 3


def _varied(p: Tensor, attempt: int) -> Tensor:
    """Values that hide no path.

    No zeros (a fresh bias, a branch that starts switched off), and from the second attempt on others
    altogether, so that units silent for these examples speak.
    """
    value = p.detach()
    if attempt == 0 and not bool((value == 0).any()):
        return value
    generator = torch.Generator().manual_seed(p.numel() + attempt)
    noise = torch.randn(p.shape, generator=generator).to(value)
    scale = value.float().abs().mean().clamp(min=0.02).to(value.dtype)
    return (
        torch.where(value == 0, 0.3 * scale * noise, value)
        if attempt == 0
        else value + attempt * scale * noise
    )


class _Pass(Trace):
    """One forward, and the backward of one example's logits."""

    def __init__(
        self,
        parameters: Sequence[Tensor],
        values: Sequence[Tensor],
        shared: set[int],
        size: int,
        example: int,
    ) -> None:
        super().__init__(parameters, values)
        self.shared, self.size, self.example = shared, size, example
        self.forward_steps = 0
        self.names: list[str] = []
        self.kinds: list[Any] = []
        self.candidates: set[int] = set()
        self.touched: dict[int, Tensor] = {}
        self.uses: dict[int, list[tuple[Key, bool]]] = {}
        self.anchor = torch.zeros((), requires_grad=True)

    def go(self, run: Run) -> None:
        """Run the model and send a random gradient into the logits of `example`."""
        logits = self.forward(run)
        self.forward_steps = self.step
        if not logits.requires_grad:
            raise Unsupported(
                "the logits do not depend on the parameters in a way that can be differentiated"
            )
        generator = torch.Generator().manual_seed(self.example)
        cotangent = torch.zeros(logits.shape)
        cotangent[self.example] = torch.randn(logits.shape[1:], generator=generator) + 0.1
        try:
            self.backward(logits, cotangent)
        except RuntimeError as error:
            raise Unsupported(f"watching its operations disturbs them ({error})") from error

    def classify(
        self, index: int, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Step:
        """See `Trace`."""
        kind = self._kind(index, name, func, args, kwargs)
        self.names.append(name)
        self.kinds.append(kind)
        return Step(name, kind)

    def _kind(self, index: int, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        others = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        sources = [self.sources[id(leaf)] for leaf in others if id(leaf) in self.sources]
        others = [leaf for leaf in others if id(leaf) not in self.sources]
        if changes_in_place(name) or any(leaf.requires_grad for leaf in others):
            return "use"
        result = func(*self.attached(args), **self.attached(kwargs))
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor) and leaf.requires_grad]
        if not outputs:
            return "ignored"
        if index in self.shared or not isinstance(result, Tensor):
            return "derived"
        if not any(n and n % self.size == 0 for n in result.shape):
            return "derived"
        if not others and result.numel() <= max(source.value.numel() for source in sources):
            return "derived"
        self.candidates.add(index)
        return "use"

    def use(self, index: int, step: Step, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """See `Trace`."""

        def on_gradient(grad: Tensor, uses: list[tuple[Use, tuple[Tensor, ...]]]) -> None:
            self.touched[index] = grad != 0
            self.uses[index] = [(use.source.key, use.slow) for use, _ in uses]

        return watch(self, step.name, func, args, kwargs, self.anchor, on_gradient)


def _plan(
    passes: Sequence[_Pass], reached: Sequence[int], layouts: dict[int, Layout], parameters: int
) -> Plan:
    one = passes[0]
    uses = {index: use for other in passes for index, use in other.uses.items()}
    steps = [
        Step(name, kind, layouts.get(i))
        for i, (name, kind) in enumerate(zip(one.names, one.kinds, strict=True))
    ]
    fired = [key for index in reached for key, _ in uses[index]]
    slow = {one.names[index] for index in reached for _, is_slow in uses[index] if is_slow}
    groups = group_uses(fired, one.by_key, one.leaves)
    forward = [i for i in reached if i < one.forward_steps] or list(reached)
    last = tuple(key for key, _ in uses[max(forward)]) if forward else ()
    used = {i for group in groups.values() for i in group.parameters}
    unused = tuple(i for i in range(parameters) if i not in used)
    return Plan(steps, groups, last, unused, tuple(sorted(slow)))


__all__ = ["EXAMPLES", "Source", "probe", "probe_size"]
