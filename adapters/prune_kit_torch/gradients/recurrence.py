"""Recurrent layers as one autograd operation each, that keeps the gradient of every gate at every step.

torch's own LSTM and GRU give the gradients of their weights only, summed over time and examples.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class LSTM(torch.autograd.Function):
    """One direction of one LSTM layer, time first.

    `gates` (time, batch, 4 * hidden) holds the input's share of the gates and both biases, `term` stands
    for the hidden state's share (see `hidden_term`). Gives all hidden states and the last cell state.
    """

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, gates: Tensor, term: Tensor, weight: Tensor, bias: Tensor | None, h: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor]:
        steps, batch, size = gates.shape[0], gates.shape[1], h.shape[1]
        # In the place of `gates`, which nobody else sees: the largest tensor of the layer.
        activated = gates.detach()
        if bias is not None:
            activated.add_(bias)
        hidden, cells = gates.new_empty(steps + 1, batch, size), gates.new_empty(steps + 1, batch, size)
        hidden[0], cells[0] = h, c
        weight = weight.t()
        for t in range(steps):
            a = activated[t].addmm_(hidden[t], weight)
            a[:, : 2 * size].sigmoid_()
            a[:, 2 * size : 3 * size].tanh_()
            a[:, 3 * size :].sigmoid_()
            i, f, g, o = a.chunk(4, 1)
            torch.mul(f, cells[t], out=cells[t + 1]).addcmul_(i, g)
            torch.tanh(cells[t + 1], out=hidden[t + 1]).mul_(o)
        ctx.save_for_backward(activated, cells, weight)
        return hidden, cells[-1].clone()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:  # noqa: D102
        activated, cells, weight = ctx.saved_tensors
        grad_hidden, dc = grads[0], grads[1].clone()
        steps, size = activated.shape[0], cells.shape[2]
        out = torch.empty_like(activated)
        i, f, g, o = activated.chunk(4, 2)
        bounded = torch.tanh(cells[1:])
        # What is known beforehand of d loss / d gate: all but the factor d cell, or d hidden.
        to_input, to_forget, to_new, to_output = out.chunk(4, 2)
        torch.mul(i, 1 - i, out=to_input).mul_(g)
        torch.mul(f, 1 - f, out=to_forget).mul_(cells[:-1])
        torch.mul(g, g, out=to_new).neg_().add_(1).mul_(i)
        torch.mul(o, 1 - o, out=to_output).mul_(bounded)
        to_cell = bounded.square_().neg_().add_(1).mul_(o)
        by_cell = out.unflatten(2, (4, size))[:, :, :3]
        dh = grad_hidden[steps].clone()
        weight = weight.t()
        for t in range(steps - 1, -1, -1):
            to_output[t].mul_(dh)
            dc.addcmul_(dh, to_cell[t])
            by_cell[t].mul_(dc[:, None])
            dc.mul_(f[t])
            dh = torch.addmm(grad_hidden[t], out[t], weight)
        return out, out, None, None, dh, dc


class GRU(torch.autograd.Function):
    """One direction of one GRU layer, time first; gates in torch's order reset, update, new.

    `gates` (time, batch, 3 * hidden) holds the input's share and its bias, `term` stands for the hidden
    state's share, whose gradient differs in the third gate. Gives all hidden states.
    """

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, gates: Tensor, term: Tensor, weight: Tensor, bias: Tensor | None, h: Tensor
    ) -> Tensor:
        steps, size = gates.shape[0], h.shape[1]
        hidden = gates.new_empty(steps + 1, *h.shape)
        hidden[0] = h
        activated, inner = gates.clone(), gates.new_empty(steps, *h.shape)
        weight = weight.t()
        for t in range(steps):
            share = hidden[t] @ weight if bias is None else torch.addmm(bias, hidden[t], weight)
            a = activated[t]
            a[:, : 2 * size].add_(share[:, : 2 * size]).sigmoid_()
            r, z, n = a.chunk(3, 1)
            inner[t] = share[:, 2 * size :]
            n.addcmul_(r, inner[t]).tanh_()
            torch.lerp(n, hidden[t], z, out=hidden[t + 1])
        ctx.save_for_backward(activated, inner, hidden, weight)
        return hidden

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:  # noqa: D102
        activated, inner, hidden, weight = ctx.saved_tensors
        (grad_hidden,) = grads
        steps = len(inner)
        r, z, n = activated.chunk(3, 2)
        to_new = (1 - z) * (1 - n * n)
        to_update = (hidden[:-1] - n) * z * (1 - z)
        to_reset = inner * r * (1 - r)
        out, share = torch.empty_like(activated), torch.empty_like(activated)
        dh = grad_hidden[steps].clone()
        weight = weight.t()
        for t in range(steps - 1, -1, -1):
            new, update = dh * to_new[t], dh * to_update[t]
            reset = new * to_reset[t]
            torch.cat([reset, update, new], 1, out=out[t])
            torch.cat([reset, update, new.mul_(r[t])], 1, out=share[t])
            dh = torch.addmm(dh.mul_(z[t]), share[t], weight).add_(grad_hidden[t])
        return out, share, None, None, dh


class Plain(torch.autograd.Function):
    """One direction of one Elman layer (tanh or relu), time first. Gives all hidden states."""

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, gates: Tensor, term: Tensor, weight: Tensor, bias: Tensor | None, h: Tensor, relu: bool
    ) -> Tensor:
        hidden = gates.new_empty(gates.shape[0] + 1, *h.shape)
        hidden[0] = h
        activated = gates.clone() if bias is None else gates + bias
        weight = weight.t()
        for t in range(len(gates)):
            a = activated[t].addmm_(hidden[t], weight)
            hidden[t + 1] = a.relu_() if relu else a.tanh_()
        ctx.save_for_backward(hidden, weight)
        ctx.relu = relu
        return hidden

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:  # noqa: D102
        hidden, weight = ctx.saved_tensors
        (grad_hidden,) = grads
        h = hidden[1:]
        slope = (h > 0).to(h.dtype) if ctx.relu else 1 - h * h
        out = torch.empty_like(h)
        dh = grad_hidden[-1].clone()
        weight = weight.t()
        for t in range(len(h) - 1, -1, -1):
            torch.mul(dh, slope[t], out=out[t])
            dh = torch.addmm(grad_hidden[t], out[t], weight)
        return out, out, None, None, dh, None
