"""One rule per operation: from the cotangent of its result to the per-example gradients of an input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..factors import Factor
from ..layout import Rows
from ..source import Use
from .contraction import batch_matmul, einsum, matmul
from .convolution import convolution, depthwise, transposed
from .lookup import gather, resource_gather
from .pointwise import (
    add,
    bias_add,
    broadcast,
    denominator,
    multiply,
    select,
    squared_difference,
    subtract,
)

Rule = Callable[[Use, Any, Rows], Factor]

RULES: dict[str, Rule] = {
    "Add": add,
    "AddN": add,
    "AddV2": add,
    "BatchMatMulV2": batch_matmul,
    "BatchMatMulV3": batch_matmul,
    "BiasAdd": bias_add,
    "BroadcastTo": broadcast,
    "Conv2D": convolution,
    "Conv2DBackpropInput": transposed,
    "Conv3D": convolution,
    "Conv3DBackpropInputV2": transposed,
    "DepthwiseConv2dNative": depthwise,
    "Einsum": einsum,
    "GatherV2": gather,
    "MatMul": matmul,
    "Mul": multiply,
    "RealDiv": denominator,
    "ResourceGather": resource_gather,
    "SelectV2": select,
    "SquaredDifference": squared_difference,
    "Sub": subtract,
    "Tile": broadcast,
}

__all__ = ["RULES", "Rule"]
