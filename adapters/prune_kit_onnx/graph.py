"""What the graph of a model says: what it ends in, and where its last linear layer is. Needs `onnx`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from prune_kit.errors import PruneKitError

if TYPE_CHECKING:
    import onnx

_PASSING = ("Identity", "Cast")
_HINT = (
    "the model must end in a Gemm or MatMul with constant weights, applied to inputs of shape (b, d); "
    "of models in PyTorch or TensorFlow, their adapters find the last layer themselves"
)


class LastLayer(NamedTuple):
    """The names of what goes into the last linear layer."""

    features: str
    weight: str
    bias: str | None
    is_transposed: bool
    """Whether the weight is (c, d)."""


class Graph:
    """The nodes of a model, found by what they give.

    Parameters
    ----------
    proto
        The model; it is not changed.
    """

    def __init__(self, proto: onnx.ModelProto) -> None:
        self._proto = proto
        self._producers = {name: node for node in proto.graph.node for name in node.output}
        constants = {each.name for each in proto.graph.initializer}
        # Old exporters list weights among the inputs too.
        self._inputs = {each.name for each in proto.graph.input} - constants

    def ending(self, output: str) -> str | None:
        """The kind of the operation that gives `output`, past those that change nothing."""
        node = self._last(output)
        return None if node is None else str(node.op_type)

    def is_softmax(self, output: str) -> bool:
        """Whether `output` is a softmax over the classes."""
        node = self._last(output)
        return node is not None and node.op_type == "Softmax" and _attribute(node, "axis", -1) in (-1, 1)

    def last_layer(self, output: str, name: str) -> LastLayer:
        """The linear layer whose result is `output`, or is what a softmax makes `output` of.

        Parameters
        ----------
        output
            An output of the model.
        name
            What to call the model.

        Raises
        ------
        PruneKitError
            If there is none.
        """
        node = self._last(output)
        if node is not None and node.op_type in ("Softmax", "LogSoftmax"):
            node = self._last(node.input[0])
        found = None if node is None else self._linear(node)
        if found is None:
            kind = "nothing" if node is None else node.op_type
            if kind == "DequantizeLinear":
                raise PruneKitError(
                    f"{name}: the output {output!r} is rounded to 8 bits after the last layer, so that it is "
                    "not that layer's result.",
                    hint="leave the last layer out when quantising (nodes_to_exclude)",
                )
            raise PruneKitError(
                f"{name}: no linear layer gives the output {output!r} (it comes from {kind}), so there is no "
                "closed form for the gradients of the last layer.",
                hint=_HINT,
            )
        return found

    def with_outputs(self, names: list[str]) -> bytes:
        """The model with these tensors as outputs too."""
        import onnx

        changed = onnx.ModelProto()
        changed.CopyFrom(self._proto)
        there = {each.name for each in changed.graph.output}
        # Without a type: the runtime infers it.
        changed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in there)
        return bytes(changed.SerializeToString())

    def _last(self, output: str) -> Any:
        node = self._producers.get(output)
        while node is not None and node.op_type in _PASSING:
            node = self._producers.get(node.input[0])
        return node

    def _linear(self, node: Any) -> LastLayer | None:
        if node.op_type == "Gemm":
            return self._of_gemm(node)
        if node.op_type == "MatMul":
            return self._of_matmul(node, None)
        if node.op_type == "Add":
            for product, bias in (node.input, reversed(node.input)):
                before = self._last(product)
                if before is not None and before.op_type == "MatMul" and self._is_constant(bias):
                    return self._of_matmul(before, bias)
        return None

    def _of_gemm(self, node: Any) -> LastLayer | None:
        features, weight, *rest = node.input
        bias = rest[0] if rest and rest[0] else None
        is_plain = _attribute(node, "alpha", 1.0) == 1 and not _attribute(node, "transA", 0)
        if bias is not None:
            is_plain = is_plain and _attribute(node, "beta", 1.0) == 1 and self._is_constant(bias)
        if not is_plain or not self._is_constant(weight):
            return None
        return LastLayer(features, weight, bias, bool(_attribute(node, "transB", 0)))

    def _of_matmul(self, node: Any, bias: str | None) -> LastLayer | None:
        features, weight = node.input
        return LastLayer(features, weight, bias, False) if self._is_constant(weight) else None

    def _is_constant(self, name: str) -> bool:
        """Whether a tensor depends on no input of the model; its node may unpack or turn weights."""
        seen: set[str] = set()
        pending = [name]
        while pending:
            each = pending.pop()
            if each in self._inputs:
                return False
            if each not in seen and each in self._producers:
                pending += self._producers[each].input
            seen.add(each)
        return True


def _attribute(node: Any, name: str, default: float) -> float:
    for attribute in node.attribute:
        if attribute.name == name:
            return float(attribute.f) if isinstance(default, float) else int(attribute.i)
    return default
