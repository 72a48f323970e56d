"""Following variables through a graph: from where they are read to where they meet the examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from .layout import Layout, Unsupported, static_shape
from .rearrange import has_own_gradient, is_rearranging
from .source import Source, Use

Kind = Literal["use", "derived"]

_WITHOUT_GRADIENT = frozenset({
    "Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "NotEqual", "OnesLike", "Rank", "Shape",
    "ShapeN", "Size", "StopGradient", "VarIsInitializedOp", "VariableShape", "ZerosLike",
    "IsFinite", "IsInf", "IsNan",
})  # fmt: skip
"""What these give of a variable carries no gradient back to it."""


@dataclass
class Step:
    """One operation that a variable, or a tensor computed from variables, is an input of.

    `use`: its result differs between examples, which lie there as `layout` says; None if no gradient has
    reached it. `derived`: its result depends on variables alone and is itself treated like a variable.
    """

    name: str
    kind: Kind
    layout: Layout | None = None


class Decide(Protocol):
    """Tells whether operation number `step` is a use; `meets` says whether an input depends on examples."""

    def __call__(self, step: int, op: Any, *, meets: bool) -> Kind:
        """See above."""


@dataclass
class Walk:
    """What was found in a graph: `uses`, and in `derived` the operations on variables alone."""

    roots: list[Source]
    steps: list[Step] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    derived: list[Any] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)

    def use_outputs(self) -> dict[int, Any]:
        """The result of every operation that is a use, by its step."""
        return {use.step: use.op.outputs[0] for use in self.uses}


def walk(
    operations: Iterable[Any],
    handles: Mapping[str, int],
    shapes: Sequence[tuple[int, ...]],
    given: Iterable[str],
    decide: Decide,
) -> Walk:
    """Follow variables through `operations`, in the order in which they were made.

    `handles` gives the number of a variable by the name of its handle in the graph, `given` names the tensors
    that differ between examples.
    """
    roots = [Source(frozenset([i]), shape, (), "") for i, shape in enumerate(shapes)]
    found = Walk(roots, sources={name: roots[i] for name, i in handles.items()})
    differs = set(given)
    for op in operations:
        names = [t.name for t in op.inputs]
        meets = any(name in differs for name in names)
        arguments = [j for j, name in enumerate(names) if name in found.sources]
        if not arguments or op.type in _WITHOUT_GRADIENT:
            if meets or (not names and op.type.startswith("Random")):
                differs.update(t.name for t in op.outputs)
            continue
        if op.type == "ReadVariableOp":
            found.sources[op.outputs[0].name] = found.sources[names[0]]
            continue
        if not op.outputs:
            if op.type.startswith("Assign"):
                raise Unsupported("a parameter is changed by the forward pass")
            continue
        step = len(found.steps)
        kind = decide(step, op, meets=meets)
        found.steps.append(Step(op.type, kind))
        if kind == "use":
            differs.update(t.name for t in op.outputs)
            found.uses += [Use(step, op, j, found.sources[names[j]]) for j in arguments]
        else:
            _derive(found, op, [found.sources[names[j]] for j in arguments])
    return found


def _derive(found: Walk, op: Any, parents: Sequence[Source]) -> None:
    found.derived.append(op)
    variables = frozenset().union(*(p.variables for p in parents))
    for k, output in enumerate(op.outputs):
        if not output.dtype.is_floating:
            continue
        steps = None
        if len(parents) == 1 and parents[0].steps is not None and is_rearranging(op):
            steps = (*parents[0].steps, (op, k))
        found.sources[output.name] = Source(variables, static_shape(output), steps, output.name)


def check_uses(uses: Iterable[Use], rules: Mapping[str, Any]) -> None:
    """Raise Unsupported where an operation that variables reach has no rule."""
    for use in uses:
        if has_own_gradient(use.op):
            raise Unsupported(f"`{use.op.type}` has a gradient of its own")
        if use.op.type not in rules:
            raise Unsupported(f"`{use.op.type}` has no rule")
