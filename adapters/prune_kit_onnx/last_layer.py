"""That the last layer found in a graph is what gives the logits: features @ W + b on the first batch."""

from __future__ import annotations

import numpy as np

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError

_TOLERANCES = {"float16": 2e-2}
_TOLERANCE = 2e-3  # TensorFloat-32 on a GPU keeps 10 bits


def check_last_layer(
    logits: NumpyArray,
    features: NumpyArray,
    weight: NumpyArray,
    bias: NumpyArray | None,
    *,
    is_softmax: bool,
    name: str,
) -> None:
    """Refuse a layer whose result is not the logits.

    Parameters
    ----------
    logits
        What the model gave, shape (b, c); probabilities where `is_softmax`.
    features, weight, bias
        Shapes (b, d), (d, c) and (c,).
    is_softmax
        Whether a softmax follows.
    name
        What to call the model.

    Raises
    ------
    PruneKitError
        If shapes or numbers differ.
    """
    shapes = (features.shape, weight.shape, logits.shape)
    if features.ndim == weight.ndim == 2 and shapes[0][1] == shapes[1][0] and shapes[1][1] == shapes[2][1]:
        wide = [each.astype(np.float64) for each in (features, weight, logits)]
        added = 0.0 if bias is None else bias.astype(np.float64)
        found = wide[0] @ wide[1] + added
        size = np.abs(wide[0]) @ np.abs(wide[1]) + np.abs(added)
        if is_softmax:
            exps = np.exp(found - found.max(axis=1, keepdims=True))
            found, size = exps / exps.sum(axis=1, keepdims=True), np.ones_like(found)
        tolerance = _TOLERANCES.get(logits.dtype.name, _TOLERANCE)
        if (np.abs(found - wide[2]) <= tolerance * size).all():
            return
    raise PruneKitError(
        f"{name}: the last linear layer in the graph, with inputs {features.shape} and weights "
        f"{weight.shape}, does not give the logits {logits.shape}, so there is no closed form for "
        "the gradients of the last layer.",
        hint="the model must end in a Gemm or MatMul whose result is the logits as they are",
    )
