"""The node in autograd's graph that sees the gradient of one operation's output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Receive = Callable[[Tensor, tuple[Tensor, ...]], None]


class _Tap(torch.autograd.Function):
    """Identity whose backward hands the gradient and the tensors saved for it to `receive`.

    The output is marked as changed in place: it stays the same tensor and not a view, so that an in-place
    activation may follow. `anchor` makes it require gradients where no input of the operation does.
    Saving through the context lets activation checkpointing drop and recompute what is saved, and makes
    autograd complain where it was overwritten.
    """

    @staticmethod
    def forward(ctx: Any, output: Tensor, anchor: Tensor, receive: Receive, saved: list[Tensor]) -> Tensor:
        ctx.receive = receive
        ctx.save_for_backward(*saved)
        ctx.mark_dirty(output)
        ctx.set_materialize_grads(False)
        return output

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, None, None, None]:
        (grad,) = grads
        if grad is not None:
            # Unpacked while torch functions are seen: a checkpoint runs its part of the model again here.
            saved = ctx.saved_tensors
            with torch.no_grad(), torch._C.DisableTorchFunction():
                ctx.receive(grad, saved)
        return (grad if ctx.needs_input_grad[0] else None), None, None, None


def tap(output: Tensor, anchor: Tensor, receive: Receive, saved: list[Tensor], *, in_place: bool) -> Tensor:
    """`output`, watched; `in_place`: the operation changed an existing tensor, which stays itself."""
    with torch._C.DisableTorchFunction():
        if not in_place:
            # A tensor of its own: marking a view as changed would rewrite the history of its base at the cost
            # of copies, and an operation may have kept its result for its own backward.
            output = torch.ops.aten._unsafe_view(output, output.shape)
        return _Tap.apply(output, anchor, receive, saved)  # type: ignore[no-any-return,no-untyped-call]
