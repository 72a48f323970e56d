"""The tangent kernel as one function: by layers where the model can be followed, else by written-out rows."""

from __future__ import annotations

import warnings
from functools import partial

import torch
from torch import Tensor, nn

from prune_kit.errors import PruneKitError

from ..gradients.factors import wide
from ..gradients.guard import left_as_it_was
from ..gradients.inputs import Inputs, check_batch, check_logits, detached, examples, logits_for, unwrapped
from ..gradients.layout import Unsupported
from ..gradients.parameters import trainable
from ..gradients.plan import Plan, PlanChanged
from ..gradients.probe import EXAMPLES, probe, probe_size
from ..gradients.uncovered import reached
from ..gradients.verify import check_independent, sample, tolerance
from ..gradients.workspace import Workspace, default_limit
from .backward import BackwardPasses
from .gram import Gram
from .layers import Layers
from .whole import gram_of_rows, jacobian_row

_COLUMNS = 2**16
"""Of rows that are compared, so many columns at a time are widened to float64."""


def neural_tangent_kernel(
    model: nn.Module, inputs: Inputs, /, *, verify: bool = True, memory: int = 2**30
) -> Tensor:
    """The Gram matrix of the gradients of every logit of every example over all trainable parameters.

    Exact, in inference mode. The Jacobian (10,000 numbers per parameter for 1,000 examples with 10 classes)
    is not formed: what each layer adds to the kernel comes from its inputs and its output gradients, in the
    cheaper of two orders of multiplication.

    Parameters
    ----------
    model
        Any `torch.nn.Module` that gives logits of shape (m, c), alone or as `.logits`, ``["logits"]`` or
        first of a tuple. Its modes, gradients and buffers are found again as they were.
    inputs
        m examples, where the model is: a tensor, a tuple of positional arguments or a mapping of keyword
        arguments, examples first.
    verify
        Compare three rows with backward passes of one example each. Where they differ, the kernel is
        computed from written-out rows.
    memory
        Bytes that gradients may take at once, about, beside the activations of the examples. With less,
        more backward passes are made.

    Returns
    -------
    Tensor
        Shape (m * c, m * c), float32 (float64 for a float64 model), symmetric and positive semi-definite but
        for rounding; row i * c + k is logit k of example i.

    Raises
    ------
    PruneKitError
        If an example's logits depend on its neighbours (a BatchNorm without running statistics), are not
        finite or not of shape (m, c), or the model has nothing trainable.

    Warns
    -----
    UserWarning
        If the operations of the model cannot be followed; the message says why. The kernel is exact then
        too, but takes a backward pass for each row, and for each part of the parameters that fits `memory`.

    References
    ----------
    Jacot et al., "Neural Tangent Kernel", NeurIPS 2018. Novak et al., "Fast Finite Width Neural Tangent
    Kernel", ICML 2022 (structured derivatives).

    Examples
    --------
    >>> model = torch.nn.Linear(2, 2, bias=False)
    >>> neural_tangent_kernel(model, torch.tensor([[3.0, 4.0]]))  # |x|^2 on the diagonal
    tensor([[25.,  0.],
            [ 0., 25.]])
    """
    if not isinstance(model, nn.Module):
        raise PruneKitError(f"`model` must be a torch.nn.Module; got {type(model).__name__}.")
    module = unwrapped(model)
    parameters = list(trainable(module).values())
    with torch.inference_mode(False), torch.enable_grad(), left_as_it_was(module):
        inputs = detached(inputs)
        batch, classes = _check_forward(module, inputs)
        try:
            gram = _by_layers(module, inputs, parameters, (batch, classes), memory)
            reason = "its rows differ from those of a backward pass for each example"
            if not verify or _agrees(gram.kernel, module, inputs, parameters, (batch, classes)):
                return gram.finished()
        except PlanChanged:
            reason = "its operations change from pass to pass"
        except Unsupported as error:
            reason = str(error)
        warnings.warn(
            "neural_tangent_kernel takes the gradient of the whole model for each row, which is slow: "
            f"{reason}. The result is exact.",
            UserWarning,
            stacklevel=2,
        )
        return gram_of_rows(module, inputs, parameters, (batch, classes), memory).finished()


def _check_forward(model: nn.Module, inputs: Inputs) -> tuple[int, int]:
    """How many examples and logits there are, each example being on its own."""
    with torch.no_grad():
        logits = logits_for(model, inputs)
        batch = len(logits) if logits.ndim else 0
        if logits.ndim != 2 or 0 in logits.shape:
            raise PruneKitError(
                f"the model must give logits of shape (examples, classes); got {tuple(logits.shape)}.",
                hint="examples lie along the first axis of inputs and logits",
            )
        check_batch(inputs, logits)
        check_logits(logits, batch)
        index = sample(batch)
        try:
            apart = torch.cat([logits_for(model, examples(inputs, batch, i[None])) for i in index])
        except (RuntimeError, ValueError) as error:
            raise PruneKitError(
                f"the model must run on a batch of one example: that defines its gradient. It says: {error}",
                hint="a BatchNorm that uses the batch's statistics cannot",
            ) from error
        check_independent(logits[index.to(logits.device)], apart, "logits")
    return batch, int(logits.shape[1])


def _by_layers(
    model: nn.Module, inputs: Inputs, parameters: list[Tensor], shape: tuple[int, int], memory: int
) -> Gram:
    batch, classes = shape
    workspace = Workspace(tune=False, limit=default_limit(parameters[0].device))
    few = examples(inputs, batch, torch.arange(probe_size(parameters)) % min(batch, EXAMPLES))

    def run(some: Inputs) -> Tensor:
        logits = logits_for(model, some)
        if reached(logits, parameters):
            raise Unsupported(
                "a parameter is used out of sight (TorchScript, or an autograd function of its own)"
            )
        return logits

    plan: Plan = probe(lambda: run(few), parameters, probe_size(parameters))
    passes = BackwardPasses(parameters, plan, workspace, batch)
    logits = passes.forward(lambda: run(inputs))
    gram = Gram(batch, classes, wide(logits.detach()), memory)
    done: set[int] = set()
    while True:
        layers = Layers(gram, workspace, done)
        for k in range(classes):
            passes.backward_of(logits, k, partial(layers.add, k))
        if any(p.grad is not None for p in parameters):
            raise Unsupported("a parameter is used out of sight in a checkpointed part")
        layers.count()
        done |= layers.taken
        if not layers.left_out:
            return gram


def _agrees(
    kernel: Tensor, model: nn.Module, inputs: Inputs, parameters: list[Tensor], shape: tuple[int, int]
) -> bool:
    """Whether the kernel of a few rows is that of their gradients by the definition."""
    batch, classes = shape
    index = [int(i) for i in sample(batch)]
    places = [(i, k * (classes - 1) // max(1, len(index) - 1)) for k, i in enumerate(index)]
    rows = torch.stack([jacobian_row(model, inputs, parameters, batch, i, k) for i, k in places])
    expected = sum(part.double() @ part.double().T for part in rows.split(_COLUMNS, dim=1))
    assert isinstance(expected, Tensor)
    at = torch.tensor([i * classes + k for i, k in places], device=kernel.device)
    # Of two rows the part above the diagonal is there: rows ascend.
    gap = (kernel[at][:, at].double() - expected).triu().abs()
    norms = expected.diagonal().sqrt()
    return bool((gap <= tolerance(kernel.dtype) * norms[:, None] * norms[None, :]).all())
