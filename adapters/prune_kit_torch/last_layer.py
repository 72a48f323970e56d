"""The last linear layer of a model, and what goes into it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from prune_kit.errors import PruneKitError

from .batches import Inputs, forward


class LastLayer:
    """Finds the linear layer whose output is the logits, and gives its inputs.

    Parameters
    ----------
    model
        A model that ends in an `nn.Linear`.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._layer: nn.Linear | None = None

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor, bool]:
        """Logits (b, c) of the model, inputs (b, d) of its last linear layer, and whether that has a bias.

        Raises
        ------
        PruneKitError
            If no linear layer's output is the logits.
        """
        seen: list[tuple[nn.Linear, Tensor, Tensor]] = []

        def remember(layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            assert isinstance(layer, nn.Linear)
            seen.append((layer, args[0].detach(), output.detach()))

        candidates = (
            [module for module in self._model.modules() if isinstance(module, nn.Linear)]
            if self._layer is None
            else [self._layer]
        )
        hooks = [layer.register_forward_hook(remember) for layer in candidates]
        try:
            logits = forward(self._model, inputs)
        finally:
            for hook in hooks:
                hook.remove()
        for layer, layer_inputs, output in reversed(seen):
            if layer_inputs.ndim == 2 and output.shape == logits.shape and torch.equal(output, logits):
                self._layer = layer
                return logits, layer_inputs, layer.bias is not None
        raise PruneKitError(
            "no linear layer of the model gives its logits as they are, so there is no closed form for "
            "the gradients of the last layer.",
            hint="the model must end in an nn.Linear that is applied to inputs of shape (b, d); "
            "the score 'grand' works for any model",
        )
