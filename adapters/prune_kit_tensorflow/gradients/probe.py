"""Learning a model's plan from a few examples: where the batch lies, and which variables take part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ..batches import Inputs
from .layout import Layout, Unsupported, find_layout
from .plan import Plan
from .rules import RULES
from .source import Use
from .trace import cotangents, traced
from .walk import Kind, Walk

EXAMPLES = 3
"""Examples whose losses are propagated back one by one."""

_ATTEMPTS = 3


def probe_size(variables: Sequence[tf.Variable]) -> int:
    """A batch size that no axis of the variables is a multiple of, if there is a small one.

    What merely has a batch's length is told apart anyway, but costs another pass.
    """
    lengths = [n for v in variables for n in v.shape]
    return min((3, 5, 7), key=lambda size: sum(n % size == 0 for n in lengths))


def probe(
    model: Callable[..., Any],
    call: Callable[[Inputs], Any],
    inputs: Inputs,
    variables: Sequence[tf.Variable],
    size: int,
) -> Plan:
    """The plan for a model, from `inputs` of `size` examples.

    Raises
    ------
    Unsupported
        If an operation mixes examples, or cannot be followed.
    """
    shared: set[int] = set()
    while True:
        one = _Probe(model, call, inputs, variables, size, shared)
        layouts: dict[int, Layout] = {}
        for attempt in range(_ATTEMPTS):
            mixed = one.place(attempt, layouts)
            if mixed is not None or len(layouts) == len(one.reached):
                break
        if mixed is None:
            return _plan(one, layouts, len(variables))
        if mixed not in one.candidates:
            raise Unsupported(f"`{one.found.steps[mixed].name}` mixes examples")
        # Not examples, then, but a tensor computed from variables; later steps change their numbers.
        shared.add(mixed)


class _Probe:
    """The graph that propagates one example's logits back, with values of the variables that hide no path."""

    def __init__(
        self,
        model: Callable[..., Any],
        call: Callable[[Inputs], Any],
        inputs: Inputs,
        variables: Sequence[tf.Variable],
        size: int,
        shared: set[int],
    ) -> None:
        self._inputs, self._variables, self._size = inputs, variables, size
        self.candidates: set[int] = set()
        self.found: Walk
        self.reached: list[int] = []
        self.last_touched: dict[int, Any] = {}

        def decide(step: int, op: Any, *, meets: bool) -> Kind:
            if meets:
                return "use"
            output = op.outputs[0].shape
            if step in shared or op.type not in RULES or len(op.outputs) > 1 or output.rank is None:
                return "derived"
            if not any(n and n % size == 0 for n in output):
                return "derived"
            self.candidates.add(step)
            return "use"

        @tf.function(autograph=False)  # type: ignore[untyped-decorator]  # TensorFlow has no types
        def run(given: Inputs, seed: Any, example: Any) -> tuple[list[Any], Any]:
            logits, self.found = traced(model, call, given, variables, decide)
            noise = tf.random.stateless_normal(tf.shape(logits), seed, dtype=tf.float32) + 0.1
            own = tf.reshape(tf.one_hot(example, size), (-1, *[1] * (logits.shape.rank - 1)))
            gradients = cotangents(logits, self.found, noise * own)
            self.reached = list(gradients)
            return [g != 0 for g in gradients.values()], logits

        self._run = run.get_concrete_function(inputs, tf.zeros([2], tf.int32), tf.zeros([], tf.int32))
        self._captured = list(self._run.captured_inputs)

    def place(self, attempt: int, layouts: dict[int, Layout]) -> int | None:
        """Add the layouts that can be seen with these values; gives a step that mixes examples, or None."""
        own = {id(v.handle): v for v in self._variables}
        # The model's own variables stay as they are: the graph is given others.
        varied = {
            id(h): tf.Variable(_varied(own[id(h)].numpy(), attempt), dtype=own[id(h)].dtype)
            for h in self._captured
            if id(h) in own
        }
        self._run.set_external_captures(
            [varied[id(h)].handle if id(h) in varied else h for h in self._captured]
        )
        flat = [t for t in tf.nest.flatten(self._inputs) if tf.is_tensor(t)]
        passes = [
            self._run(*flat, tf.constant([example, attempt]), tf.constant(example))[0]
            for example in range(EXAMPLES)
        ]
        for k, step in enumerate(self.reached):
            seen = [np.asarray(one[k]) for one in passes]
            if step in layouts or sum(bool(t.any()) for t in seen) < 2:
                continue
            layout = find_layout(seen, self._size)
            if layout is None:
                return step
            layouts[step] = layout
        return None


def _varied(value: npt.NDArray[Any], attempt: int) -> npt.NDArray[Any]:
    """Values that hide no path.

    No zeros (a fresh bias, a branch that starts switched off), and from the second attempt on others
    altogether, so that units silent for these examples speak.
    """
    if attempt == 0 and not (value == 0).any():
        return value
    noise = np.random.default_rng(value.size + attempt).standard_normal(value.shape)
    scale = max(float(np.abs(value.astype(np.float32)).mean()) if value.size else 0.0, 0.02)
    varied = (
        np.where(value == 0, 0.3 * scale * noise, value) if attempt == 0 else value + attempt * scale * noise
    )
    return varied.astype(value.dtype)


def _plan(one: _Probe, layouts: dict[int, Layout], variables: int) -> Plan:
    found = one.found
    reached = set(one.reached)
    uses = [use for use in found.uses if use.step in reached]
    # A step that no example of the probe reached (padding) holds examples as its like does.
    like = {_kind(use): layouts[use.step] for use in uses if use.step in layouts}
    for use in uses:
        if use.step not in layouts and _kind(use) in like:
            layouts[use.step] = like[_kind(use)]
    for step, layout in layouts.items():
        found.steps[step].layout = layout
    used = frozenset().union(*(use.source.variables for use in uses))
    unused = tuple(i for i in range(variables) if i not in used)
    return Plan(found.steps, _last(uses), unused)


def _kind(use: Use) -> tuple[Any, ...]:
    return use.source.variables, use.op.type, use.argument, tuple(use.op.outputs[0].shape)


def _last(uses: Sequence[Use]) -> frozenset[int]:
    """The variables of the last use, and of the product that it adds a bias to."""
    by_output = {use.op.outputs[0].name: use for use in uses}
    use = max(uses, key=lambda u: u.step)
    found = set(use.source.variables)
    while use.op.type in ("AddV2", "BiasAdd"):
        tensor = use.other
        while tensor.op.type in ("Identity", "Reshape", "Squeeze", "BatchToSpaceND"):
            tensor = tensor.op.inputs[0]
        if tensor.name not in by_output:
            break
        use = by_output[tensor.name]
        found |= use.source.variables
    return frozenset(found)
