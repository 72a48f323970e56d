"""Parameters that a graph reaches past the trace."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor


def reached(output: Tensor, parameters: Iterable[Tensor]) -> bool:
    """Whether a backward pass from `output` would write into the `.grad` of one of `parameters`."""
    wanted = {id(p) for p in parameters}
    seen, stack = set(), [output.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if id(getattr(node, "variable", None)) in wanted:
            return True
        stack.extend(parent for parent, _ in node.next_functions)
    return False
