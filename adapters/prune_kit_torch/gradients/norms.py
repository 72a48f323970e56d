"""GraNd as one function."""

from __future__ import annotations

from torch import Tensor, nn

from .engine import GradientNorms, PerLayer
from .inputs import Inputs
from .losses import Loss, cross_entropy


def gradient_norms(
    model: nn.Module,
    inputs: Inputs,
    labels: Tensor,
    /,
    *,
    loss: Loss = cross_entropy,
    verify: bool = True,
    per_layer: PerLayer = False,
    last_layer: bool = False,
    allow_unused: bool = False,
    tune: bool = True,
) -> Tensor | dict[str, Tensor]:
    """GraNd: the L2 norm of each example's own loss gradient over all trainable parameters.

    Exact, in inference mode, at about the cost of one training step on the batch; no gradient of a weight
    is formed. For many batches make one `GradientNorms` and call it: what is learnt about the model with
    the first batch is then used for all.

    Parameters
    ----------
    model
        Any `torch.nn.Module` that gives logits; left as it was, also after an exception.
    inputs
        A tensor, a tuple of positional arguments or a mapping of keyword arguments, examples first.
    labels
        Shape (b, ...): class indices, or what `loss` takes.
    loss
        `loss(logits, labels) -> (b,)`, each example's own loss; cross-entropy by default.
    verify
        Compare three examples with a backward pass for each of them alone.
    per_layer
        True or "parameter": a dict of norms by parameter name; "module": by module name.
    last_layer
        Only the parameters of the last operation that has any.
    allow_unused
        Accept trainable parameters that the loss does not depend on (their norm is 0).
    tune
        Time several formulas per shape; False makes results the same to the last bit in every run.

    Returns
    -------
    Tensor or dict of Tensor
        Shape (b,), float32 (float64 for a float64 model), in [0, inf); higher is harder. Equals the norm of
        the gradient of `loss(model(x[i:i+1]), y[i:i+1])`.

    Raises
    ------
    PruneKitError
        If an example's result depends on its neighbours (a BatchNorm without running statistics, a loss
        that compares examples), a trainable parameter does not take part or shares memory with another,
        logits are not finite, or shapes do not fit.

    Warns
    -----
    UserWarning
        Once, if part of the model is measured in a slow way; the message says which.

    References
    ----------
    Paul, Ganguli, Dziugaite, "Deep Learning on a Data Diet", NeurIPS 2021, Definition 2.1.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(2, 2, bias=False)
    >>> _ = torch.nn.init.zeros_(model.weight)
    >>> gradient_norms(model, torch.tensor([[3.0, 4.0]]), torch.tensor([0]))  # |x| * |p - y|
    tensor([3.5355])
    """
    engine = GradientNorms(
        model,
        loss=loss,
        verify=verify,
        per_layer=per_layer,
        last_layer=last_layer,
        allow_unused=allow_unused,
        tune=tune,
    )
    return engine(inputs, labels)
