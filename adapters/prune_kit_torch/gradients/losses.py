"""Each example's own loss, and the gradient it sends into the logits."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from prune_kit.errors import PruneKitError

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, labels: Tensor, /) -> Tensor:
    """Cross-entropy of each example, in float64 where the device has it.

    In float32, the gradient `softmax(logits) - onehot` of a confident example is the difference of two
    equal numbers; the few logits cost nothing to widen.

    Parameters
    ----------
    logits
        Shape (b, c).
    labels
        Class indices (b,), or probabilities (b, c).

    Returns
    -------
    Tensor
        Shape (b,).

    Raises
    ------
    PruneKitError
        If the shapes do not fit, or an index is not a class.
    """
    if logits.ndim != 2:
        raise PruneKitError(
            f"cross-entropy needs logits of shape (b, c); got {tuple(logits.shape)}.",
            hint="pass loss=..., a function of (logits, labels) that gives one loss per example",
        )
    indices = not labels.is_floating_point()
    if labels.shape != (logits.shape[:1] if indices else logits.shape):
        raise PruneKitError(
            f"`labels` must be class indices of shape ({len(logits)},) or probabilities of shape "
            f"{tuple(logits.shape)}; got {labels.dtype} of shape {tuple(labels.shape)}.",
            hint="one-hot labels must be floating point",
        )
    if indices and len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < logits.shape[1]:
        raise PruneKitError(
            f"`labels` must be class indices from 0 to {logits.shape[1] - 1}; got values from "
            f"{int(labels.min())} to {int(labels.max())}.",
            hint="the model's output must have one logit per class",
        )
    wide = logits.float() if logits.device.type == "mps" else logits.double()
    return F.cross_entropy(wide, labels.long() if indices else labels.to(wide.dtype), reduction="none")


def loss_gradients(loss: Loss, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Losses (b,) and the gradient of each in its own logits, shape of `logits` (float32 or wider).

    Raises
    ------
    PruneKitError
        If `loss` does not give one differentiable number per example, or depends on other parameters.
    """
    leaf = logits.detach()
    leaf = leaf.float() if leaf.dtype in (torch.float16, torch.bfloat16) else leaf.clone()
    leaf.requires_grad_()
    losses = loss(leaf, labels)
    if not isinstance(losses, Tensor) or losses.shape != (len(logits),):
        got = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
        raise PruneKitError(
            f"`loss` must give one number per example, shape ({len(logits)},); got {got}.",
            hint='use reduction="none", and sum what one example has over time or pixels',
        )
    if losses.grad_fn is None:
        raise PruneKitError(
            "`loss` does not depend on the logits in a way that can be differentiated.",
            hint="compute it with torch operations, without detach() or .item()",
        )
    leaves = _leaves(losses) - {id(leaf)}
    if leaves:
        raise PruneKitError(
            "`loss` must be a function of logits and labels alone; it uses other trainable tensors.",
            hint="the norms are of the model's parameters through its logits; put such terms into the model",
        )
    if loss is cross_entropy and not labels.is_floating_point():
        return losses.detach(), _of_class(leaf.detach(), labels)
    (gradient,) = torch.autograd.grad(losses.sum(), leaf)
    return losses.detach(), gradient


def _of_class(logits: Tensor, labels: Tensor) -> Tensor:
    """`softmax(logits) - onehot`, the label's own entry as the negative sum of the others.

    As a difference from 1 it would be 0 for an example that the model is very sure of.
    """
    wide = logits if logits.device.type == "mps" else logits.double()
    rows = torch.arange(len(labels), device=logits.device)
    gradient = wide.softmax(1)
    gradient[rows, labels.long()] = 0.0
    gradient[rows, labels.long()] = -gradient.sum(1)
    return gradient.to(logits.dtype)


def _leaves(tensor: Tensor) -> set[int]:
    """Ids of the leaves that `tensor` was computed from."""
    found, seen, stack = set(), set(), [tensor.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(id(node.variable))
        stack.extend(parent for parent, _ in node.next_functions)
    return found


def scaled(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """`gradient` with each example's part brought near 1 by a power of two, and those powers, shape (b,).

    No square underflows then for an example that the model is sure of.
    """
    flat = gradient.flatten(1)
    flat = flat if gradient.device.type == "mps" else flat.double()
    _, exponent = torch.frexp(flat.abs().amax(1))
    scale = torch.ldexp(torch.ones_like(flat[:, 0]), exponent)
    return gradient / scale.to(gradient.dtype).view(-1, *(1,) * (gradient.ndim - 1)), scale
