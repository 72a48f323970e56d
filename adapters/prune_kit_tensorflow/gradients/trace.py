"""A model's forward pass as a graph, followed from its variables to its logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ..batches import Inputs
from .grouped import with_grouped_gradient
from .layout import Unsupported
from .rules import RULES
from .unrolled import laid_open
from .walk import Decide, Walk, check_uses, walk

UNTRACEABLE = (
    AttributeError,
    IndexError,
    KeyError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
    tf.errors.OpError,
)
"""What TensorFlow and models raise for code that runs, but not as a graph."""


def traced(
    model: Callable[..., Any],
    call: Callable[[Inputs], Any],
    inputs: Inputs,
    variables: Sequence[tf.Variable],
    decide: Decide,
) -> tuple[Any, Walk]:
    """Logits, and what was found on the way to them; called while a `tf.function` is traced.

    Raises
    ------
    Unsupported
        If the model cannot be traced, or a variable is used in a way that has no rule.
    """
    graph = tf.compat.v1.get_default_graph()
    first = len(graph.get_operations())
    try:
        with laid_open(model), with_grouped_gradient():
            logits = call(inputs)
    except UNTRACEABLE as error:
        said = " ".join(str(error).split())[:200]
        raise Unsupported(f"its forward pass cannot be traced ({type(error).__name__}: {said})") from error
    numbers = {id(v.handle): i for i, v in enumerate(variables)}
    captures = [(outer, inner) for outer, inner in graph.captures if id(outer) in numbers]
    found = walk(
        graph.get_operations()[first:],
        {inner.name: numbers[id(outer)] for outer, inner in captures},
        [tuple(v.shape) for v in variables],
        [t.name for t in tf.nest.flatten(inputs) if tf.is_tensor(t)],
        decide,
    )
    check_uses(found.uses, RULES)
    if logits.name in found.sources or not found.uses:
        raise Unsupported("the logits do not depend on the parameters in a way that can be differentiated")
    return logits, found


def cotangents(logits: Any, found: Walk, gradient: Any) -> dict[int, Any]:
    """The gradient of `sum(logits * gradient)` in the result of each use that it reaches, by step."""
    outputs = found.use_outputs()
    reached = tf.gradients([logits], list(outputs.values()), [tf.cast(gradient, logits.dtype)])
    return {step: tf.convert_to_tensor(g) for step, g in zip(outputs, reached, strict=True) if g is not None}
