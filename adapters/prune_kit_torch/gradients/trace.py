"""Finding every use of a parameter in a forward pass, without touching the model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from .decompositions import DECOMPOSITIONS, backward
from .layout import Unsupported
from .plan import Key, Step
from .source import Source

_IN_PLACE = {"__setitem__"} | {
    f"__i{op}__"
    for op in ("add", "sub", "mul", "truediv", "pow", "matmul", "floordiv", "mod", "and", "or", "xor")
}


def changes_in_place(name: str) -> bool:
    """Whether the torch function `name` writes into its first argument."""
    return name in _IN_PLACE or (name.endswith("_") and not name.endswith("__"))


class Trace(TorchFunctionMode):
    """While active, every operation on a parameter is classified and, where examples meet it, watched.

    Operations get the parameter's value cut off from autograd, so that no weight gradient is ever formed.
    While `forwarding`, no gradient may arrive: a model that differentiates in its forward is not followed.
    A subclass says what each step is (`classify`) and does the watching (`use`).
    """

    def __init__(self, parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
        super().__init__()
        self.sources: dict[int, Source] = {}
        self.by_key: dict[Key, Source] = {}
        self.leaves: list[Tensor] = []
        self.step = 0
        self.forwarding = False
        for i, (p, value) in enumerate(zip(parameters, values, strict=True)):
            leaf = value.detach().requires_grad_()
            self.leaves.append(leaf)
            self._add(p, Source((i,), leaf, value.detach()))
            self.sources[id(leaf)] = self.sources[id(p)]

    def _add(self, tensor: Tensor, source: Source) -> None:
        self.sources[id(tensor)] = source
        self.by_key[source.key] = source

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for every function while the trace is active."""
        kwargs = kwargs or {}
        if func is torch.autograd.backward:
            # Activation checkpointing runs parts of the forward again in there.
            with self:
                return backward(*args, **kwargs)
        if not self._meets(args) and not (kwargs and self._meets(tuple(kwargs.values()))):
            return func(*args, **kwargs)
        if not torch.is_grad_enabled():
            return func(*args, **kwargs)
        if func in DECOMPOSITIONS:
            with self:
                return DECOMPOSITIONS[func](*args, **kwargs)
        index, self.step = self.step, self.step + 1
        name = getattr(func, "__name__", str(func))
        if name in ("__get__", "__set__", "__delete__"):
            name = f"{getattr(getattr(func, '__self__', None), '__name__', '?')}.{name}"
        step = self.classify(index, name, func, args, kwargs)
        if step.kind == "use":
            return self.use(index, step, func, args, kwargs)
        result = func(*self.attached(args), **self.attached(kwargs))
        if step.kind == "derived":
            for j, output in enumerate(tree_leaves(result)):
                if isinstance(output, Tensor) and output.requires_grad:
                    if id(output) in self.sources and not changes_in_place(name):
                        continue  # .to(), .contiguous() with nothing to do
                    if id(output) in self.sources:
                        raise Unsupported(f"`{name}` changes a tensor computed from parameters in place")
                    self._add(output, Source((-1, index, j), output, output.detach()))
        return result

    @abstractmethod
    def classify(
        self, index: int, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Step:
        """What the operation numbered `index` is."""

    @abstractmethod
    def use(self, index: int, step: Step, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the operation on values and watch its output."""

    def forward(self, run: Callable[[], Tensor]) -> Tensor:
        """The logits that `run` gives, traced."""
        self.forwarding = True
        with self:
            logits = run()
        self.forwarding = False
        return logits

    def backward(self, logits: Tensor, cotangent: Tensor, *, retain_graph: bool = False) -> None:
        """Propagate `cotangent`, in this thread and traced: see `__torch_function__`.

        Raises
        ------
        Unsupported
            If a gradient reaches parameters past the operations that were watched.
        """
        with self, torch.autograd.set_multithreading_enabled(False):
            torch.autograd.backward(logits, cotangent.to(logits), retain_graph=retain_graph)
        if any(leaf.grad is not None for leaf in self.leaves):
            raise Unsupported("a tensor computed from parameters is used out of sight")

    def _meets(self, values: Any) -> bool:
        sources = self.sources
        for value in values:
            if isinstance(value, Tensor):
                if id(value) in sources:
                    return True
            elif isinstance(value, tuple | list) and self._meets(value):
                return True
        return False

    def swap(self, tree: Any, with_: Callable[[Source], Any]) -> Any:
        """`tree` with every tracked tensor replaced."""
        if isinstance(tree, Tensor):
            source = self.sources.get(id(tree))
            return tree if source is None else with_(source)
        if isinstance(tree, tuple | list):
            if not self._meets(tree):
                return tree
            swapped = [self.swap(value, with_) for value in tree]
            return type(tree)(*swapped) if hasattr(tree, "_fields") else type(tree)(swapped)
        if isinstance(tree, dict):
            return {key: self.swap(value, with_) for key, value in tree.items()}
        return tree

    def sourced(self, tree: Any) -> Any:
        """`tree` with the `Source` itself where a tensor is tracked."""
        return self.swap(tree, lambda source: source)

    def attached(self, tree: Any) -> Any:
        """`tree` with stand-ins that carry gradients back to the parameters."""
        return self.swap(tree, lambda source: source.attached)

    def values(self, tree: Any) -> Any:
        """`tree` with the bare values of parameters."""
        return self.swap(tree, lambda source: source.value)
