"""The plan carried out on batches of one shape, as one graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ..batches import Inputs
from .collect import squared_norms
from .factors import wide
from .inputs import check_rows, finite_rows
from .losses import Loss, loss_gradients, scaled
from .plan import Plan, PlanChanged
from .trace import cotangents, traced
from .walk import Kind

Measured = tuple[Any, Any, Any, Any, Any]
"""Squared norms (b, variables) up to a scale, that scale (b,), logits, which rows of them are finite (b,),
and whether a gradient went where the plan saw none."""


def measurement(
    model: Callable[..., Any],
    call: Callable[[Inputs], Any],
    variables: Sequence[tf.Variable],
    loss: Loss,
    plan: Plan,
    inputs: Inputs,
    labels: Any,
) -> Callable[..., Measured]:
    """The function of batches of the shape of `inputs` and `labels`, traced.

    Raises
    ------
    Unsupported, PlanChanged
        If the graph cannot be measured, or is another than the plan's.
    """

    def decide(step: int, op: Any, *, meets: bool) -> Kind:
        if step >= len(plan.steps) or plan.steps[step].name != op.type:
            raise PlanChanged
        return plan.steps[step].kind

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def run(given: Inputs, own: Any) -> Measured:
        batch = int(own.shape[0])
        logits, found = traced(model, call, given, variables, decide)
        check_rows(logits, batch)
        _, gradient = loss_gradients(loss, logits, own)
        cotangent, scale = scaled(gradient)
        gradients = cotangents(logits, found, cotangent)
        layouts = plan.layouts()
        squared = squared_norms(found, gradients, layouts, batch)
        zero = tf.zeros([batch], wide(tf.zeros([], variables[0].dtype)).dtype)
        columns = [tf.cast(squared.get(i, zero), zero.dtype) for i in range(len(variables))]
        hidden = [tf.reduce_any(g != 0) for step, g in gradients.items() if step not in layouts]
        return (
            tf.stack(columns, 1),
            scale,
            logits,
            finite_rows(logits),
            tf.reduce_any(hidden) if hidden else tf.constant(False),
        )

    concrete: Callable[..., Measured] = run.get_concrete_function(inputs, labels)
    return concrete
