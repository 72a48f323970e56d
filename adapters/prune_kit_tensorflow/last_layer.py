"""What goes into the last linear layer of a model, read off the graph that computes its logits."""

from __future__ import annotations

import tensorflow as tf

from prune_kit.errors import PruneKitError

from .softmax import origin

_ADDITIONS = ("BiasAdd", "AddV2", "Add")
# Ways from a variable to the matrix that is multiplied with.
_REARRANGE = ("Cast", "ConjugateTranspose", "Identity", "Transpose")


def inputs_of_last_layer(logits: tf.Tensor) -> tuple[tf.Tensor, bool]:
    """Inputs (b, d) of the linear layer that gives `logits`, a tensor of a graph, and whether it has a bias.

    Raises
    ------
    PruneKitError
        If the logits are not a matrix product with a variable, plus a variable (c,) or nothing.
    """
    result = origin(logits)
    bias = None
    if result.op.type in _ADDITIONS:
        sides = [origin(side) for side in result.op.inputs]
        result, bias = sides if sides[0].op.type == "MatMul" else reversed(sides)
    is_linear = (
        result.op.type == "MatMul"
        and not result.op.get_attr("transpose_a")
        and _is_variable(result.op.inputs[1])
        and (bias is None or (_is_variable(bias) and bias.shape.num_elements() == logits.shape[1]))
    )
    if not is_linear:
        raise PruneKitError(
            "no linear layer of the model gives its logits as they are, so there is no closed form for "
            "the gradients of the last layer.",
            hint="the model must end in a Dense layer that is applied to inputs of shape (b, d); "
            "the score 'grand' works for any model",
        )
    return result.op.inputs[0], bias is not None


def _is_variable(tensor: tf.Tensor) -> bool:
    while tensor.op.type in _REARRANGE:
        tensor = tensor.op.inputs[0]
    return bool(tensor.op.type == "ReadVariableOp")
