"""Which tensor of a training step is the logits, where the step gives no more than the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from prune_kit.errors import PruneKitError

from .batches import logits_of


@dataclass
class _Call:
    """A module that was called in a step, and what came out, where that can be logits."""

    name: str
    begun: int
    ended: int
    logits: Tensor


class StepLogits:
    """Takes the logits out of a training step: what it returns as such, or the output of a module.

    Which it is, is found in the first step.

    Parameters
    ----------
    model
        The module whose training step is run.
    module
        The name of the submodule whose output are the logits, "" for `model` itself. If not given, the
        outermost module that gives floats of shape (batch, classes); of several, the one whose output goes
        into the cross-entropy. Refused where the step takes a cross-entropy of what has another shape.

    Raises
    ------
    PruneKitError
        If there is no submodule of that name.
    """

    def __init__(self, model: nn.Module, module: str | None = None) -> None:
        # Inside of a compiled module a hook costs a recompilation; what comes out of it is seen outside.
        self._modules = {
            name: each for name, each in model.named_modules() if "_orig_mod" not in name.split(".")
        }
        if module is not None and module not in self._modules:
            shown = ", ".join(name for name in self._modules if name and "." not in name)
            raise PruneKitError(
                f"`module` must name a submodule of {type(model).__name__}; got {module!r}.",
                hint=f"its children are {shown}",
            )
        self._name = module
        self._are_returned = False

    def run(self, step: Callable[[], Any], rows: int) -> tuple[Any, Tensor]:
        """Run a training step of a batch of `rows` examples; give its result and the logits.

        Raises
        ------
        PruneKitError
            If no module gives logits, it cannot be told which one's are meant, or it is called more than
            once in the step.
        """
        if self._are_returned:
            result = step()
            return result, logits_of(result).detach()
        searched = self._modules if self._name is None else {self._name: self._modules[self._name]}
        losses = _LossInputs() if self._name is None else None
        with _watched(searched, rows) as calls, losses or nullcontext():
            result = step()
        if isinstance(result, Mapping) and "logits" in result:
            self._are_returned = True
            return result, logits_of(result).detach()
        calls = [call for call in calls if not any(_is_inside(call, other) for other in calls)]
        chosen = calls if losses is None else losses.chosen(calls)
        if len(chosen) == 1:
            self._name = chosen[0].name
            return result, chosen[0].logits.detach()
        if calls and not chosen:
            complaint = (
                f"the cross-entropy of the training step is of what no module gave: {_shown(calls)} does not "
                "have its shape."
            )
        else:
            complaint = _complaint(self._name, chosen, rows)
        raise PruneKitError(
            complaint,
            hint='name the module (module="head"), or let training_step return '
            '{"loss": loss, "logits": logits}',
        )


@contextmanager
def _watched(modules: dict[str, nn.Module], rows: int) -> Iterator[list[_Call]]:
    """The calls of `modules` inside the block whose output can be logits of `rows` examples."""
    calls: list[_Call] = []
    open_since: list[int] = []
    clock = count()

    def begin(*_: Any) -> None:
        open_since.append(next(clock))

    def end(name: str, output: Any) -> None:
        begun, ended = open_since.pop(), next(clock)
        try:
            logits = logits_of(output)
        except PruneKitError:  # what a module gives need not be logits
            return
        if logits.ndim == 2 and logits.shape[0] == rows and logits.shape[1] >= 2:
            calls.append(_Call(name, begun, ended, logits))

    with ExitStack() as hooks:
        for name, module in modules.items():
            # torch.compile would else take the hooks into what it compiles.
            enter = torch.compiler.disable(begin)
            leave = torch.compiler.disable(lambda _, __, output, name=name: end(name, output))
            hooks.callback(module.register_forward_pre_hook(enter).remove)
            hooks.callback(module.register_forward_hook(leave).remove)
        yield calls


def _is_inside(call: _Call, other: _Call) -> bool:
    return other.begun < call.begun and call.ended < other.ended


class _LossInputs(TorchFunctionMode):
    """Remembers what goes into cross-entropies."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[Any] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.cross_entropy:
            self.inputs.append(args[0] if args else (kwargs or {}).get("input"))
        return func(*args, **(kwargs or {}))

    def chosen(self, calls: list[_Call]) -> list[_Call]:
        """Which of `calls` gave what a cross-entropy was taken of; all, where there was none."""
        if not self.inputs:
            return calls
        same = [call for call in calls if any(call.logits is each for each in self.inputs)]
        # Scaled or in another precision they are another tensor.
        shapes = [each.shape for each in self.inputs if isinstance(each, Tensor)]
        return same or [call for call in calls if call.logits.shape in shapes]


def _complaint(name: str | None, calls: list[_Call], rows: int) -> str:
    """Why the logits are not known: `calls` are those that can have given them."""
    wanted = f"logits of shape ({rows}, classes) in a training step"
    if not calls:
        return f"no module gave {wanted}." if name is None else f"{_called(name)} gave no {wanted}."
    if len({call.name for call in calls}) == 1:
        return (
            f"{_called(calls[0].name)} is called {len(calls)} times in a training step: which call is meant "
            "is not known."
        )
    return f"several modules gave what can be {wanted}: {_shown(calls)}."


def _shown(calls: list[_Call]) -> str:
    return ", ".join(dict.fromkeys(f"{_called(call.name)} {tuple(call.logits.shape)}" for call in calls))


def _called(name: str) -> str:
    return name or "the module itself"
