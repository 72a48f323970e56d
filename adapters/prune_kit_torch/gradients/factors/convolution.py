"""The weight of a convolution, of any dimension, grouped, dilated or transposed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ..workspace import Candidate, Workspace
from .base import Factor, squares, wide


@dataclass(frozen=True)
class Geometry:
    """What `torch.nn.functional.convNd` was called with; padding in numbers, equal on both sides."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = ()


class Convolution(Factor):
    """From inputs `x` (batch, uses, channels, *space) and gradients `g` (batch, uses, outputs, *space)."""

    def __init__(self, x: Tensor, g: Tensor, shape: tuple[int, ...], geometry: Geometry) -> None:
        self.x, self.g, self.shape, self.geometry = x, g, shape, geometry
        self.batch = x.shape[0]

    def dense(self, start: int, stop: int) -> Tensor:
        """One convolution backward, the examples as groups of its channels."""
        geometry, n = self.geometry, stop - start
        x = wide(self.x[start:stop]).transpose(0, 1).flatten(1, 2)
        g = wide(self.g[start:stop]).transpose(0, 1).flatten(1, 2)
        weight = x.new_empty(1).expand(n * self.shape[0], *self.shape[1:])
        _, out, _ = torch.ops.aten.convolution_backward(
            g, x, weight, None, geometry.stride, geometry.padding, geometry.dilation, geometry.transposed,
            geometry.output_padding or [0] * len(geometry.kernel), n * geometry.groups, [False, True, False],
        )  # fmt: skip
        return cast(Tensor, out.view(n, *self.shape))

    def squared_norms(self, workspace: Workspace) -> Tensor:
        """The fastest of the formulas that hold for this geometry."""
        geometry, uses = self.geometry, self.x.shape[1]
        weights = math.prod(self.shape)
        positions = math.prod(self.x.shape[3:] if geometry.transposed else self.g.shape[3:])
        channels, outputs = self.x.shape[2], self.g.shape[2]
        work = uses * positions * weights
        operands = uses * (self.x[0, 0].numel() + self.g[0, 0].numel())
        # The factors were fitted to times on a CPU with AVX2, in multiply-adds of a large matrix product.
        candidates = {
            "grouped": Candidate(
                lambda i, j: squares(self.dense(i, j)), 1.15 * work + 12 * weights, weights + operands
            )
        }
        if geometry.groups == 1 and not geometry.transposed:
            window = math.prod(geometry.kernel)
            inputs = channels * window
            columns = uses * positions * inputs
            candidates["columns"] = Candidate(self._columns, work + 40 * columns, columns + weights)
            gram = (uses * positions) ** 2
            candidates["gram"] = Candidate(
                self._gram, gram * (inputs + outputs + 4) + 40 * columns, columns + 3 * gram
            )
            if uses == 1 and all(s == 1 for s in geometry.stride) and window > 1:
                pixels = math.prod(self._padded())
                grid = pixels * (channels + outputs)
                candidates["pixels"] = Candidate(
                    self._pixels,
                    pixels**2 * (channels + outputs + 4 * sum(geometry.kernel)),
                    5 * pixels**2 + grid,
                )
                candidates["shifts"] = Candidate(
                    self._shifts, 0.6 * pixels * outputs * inputs + 60 * grid, grid + outputs * channels
                )
        shape = (
            f"convolution {list(self.x.shape[1:])}->{list(self.g.shape[1:])} {geometry} "
            f"{self.x.dtype} {self.x.device.type}"
        )
        return workspace.run(shape, candidates, self.batch, self.x)

    def _unfolded(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Columns (n, uses * positions, inputs) and output gradients (n, outputs, uses * positions)."""
        g = wide(self.g[start:stop]).transpose(1, 2).flatten(2)
        return self.windows(start, stop), g

    def windows(self, start: int, stop: int) -> Tensor:
        """What each output position met, in no group and not transposed: (n, uses * positions, inputs)."""
        return _windows(wide(self.x[start:stop]), self.geometry)

    def _columns(self, start: int, stop: int) -> Tensor:
        columns, g = self._unfolded(start, stop)
        return squares(g @ columns)

    def _gram(self, start: int, stop: int) -> Tensor:
        columns, g = self._unfolded(start, stop)
        return (columns @ columns.mT).mul_(g.mT @ g).sum((1, 2)).clamp_(min=0)

    def _padded(self) -> list[int]:
        return [n + 2 * p for n, p in zip(self.x.shape[3:], self.geometry.padding, strict=True)]

    def _on_padded_grid(self, start: int, stop: int) -> tuple[Tensor, Tensor, list[int]]:
        """Both operands over one grid of the padded input's size, and the offset of each kernel tap in it.

        Output position t meets input position t + offset; positions without an output hold zeros.
        """
        space = self._padded()
        x, g = wide(self.x[start:stop, 0]), wide(self.g[start:stop, 0])
        x = F.pad(x, [p for p in reversed(self.geometry.padding) for _ in (0, 1)]).flatten(2)
        missing = [n - m for n, m in zip(space, g.shape[2:], strict=True)]
        g = F.pad(g, [side for m in reversed(missing) for side in (0, m)]).flatten(2)
        return x, g, space

    def _steps(self, space: list[int]) -> list[list[int]]:
        """For each axis, how far its kernel taps lie apart in the flattened grid."""
        strides = [math.prod(space[a + 1 :]) for a in range(len(space))]
        return [
            [tap * dilation * stride for tap in range(size)]
            for size, dilation, stride in zip(
                self.geometry.kernel, self.geometry.dilation, strides, strict=True
            )
        ]

    def _pixels(self, start: int, stop: int) -> Tensor:
        """Gram matrices of single pixels; windows are sums along the diagonals of one of them."""
        x, g, space = self._on_padded_grid(start, stop)
        n, pixels = x.shape[0], x.shape[2]
        inputs = torch.bmm(x.mT, x).flatten(1)
        outputs = torch.bmm(g.mT, g).flatten(1)
        for steps in self._steps(space):
            length = inputs.shape[1] - steps[-1] * (pixels + 1)
            summed = inputs[:, :length]
            for step in steps[1:]:
                summed = summed + inputs[:, step * (pixels + 1) : step * (pixels + 1) + length]
            inputs = summed
        return torch.bmm(inputs.view(n, 1, -1), outputs[:, : inputs.shape[1], None]).view(n).clamp_(min=0)

    def _shifts(self, start: int, stop: int) -> Tensor:
        """One matrix product per kernel tap, between shifted views of one padded input."""
        x, g, space = self._on_padded_grid(start, stop)
        offsets = [0]
        for steps in self._steps(space):
            offsets = [offset + step for offset in offsets for step in steps]
        length = x.shape[2] - max(offsets)
        g = g[:, :, :length]
        total = x.new_zeros(x.shape[0])
        for offset in offsets:
            total += squares(torch.bmm(g, x[:, :, offset : offset + length].mT))
        return total


def _windows(x: Tensor, geometry: Geometry) -> Tensor:
    """Every window of `x` (n, uses, channels, *space) as a row: (n, uses * positions, channels * window)."""
    n, uses, channels = x.shape[:3]
    space = len(geometry.kernel)
    if math.prod(geometry.kernel) == 1 and not any(geometry.padding):
        picked: list[Any] = [..., *(slice(None, None, step) for step in geometry.stride)]
        return x[tuple(picked)].flatten(3).transpose(2, 3).flatten(1, 2)
    if space == 2:
        columns = F.unfold(
            x.flatten(0, 1), geometry.kernel, geometry.dilation, geometry.padding, geometry.stride
        )
        return columns.view(n, uses, columns.shape[1], columns.shape[2]).mT.flatten(1, 2)
    x = F.pad(x, [p for p in reversed(geometry.padding) for _ in (0, 1)])
    for axis in range(space):
        reach = (geometry.kernel[axis] - 1) * geometry.dilation[axis] + 1
        x = x.unfold(3 + axis, reach, geometry.stride[axis])
    for axis in range(space):
        index: list[Any] = [
            ...,
            slice(None, None, geometry.dilation[axis]),
            *[slice(None)] * (space - 1 - axis),
        ]
        x = x[tuple(index)]
    # (n, uses, channels, *positions, *window) -> (n, uses, *positions, channels, *window)
    order = [0, 1, *range(3, 3 + space), 2, *range(3 + space, 3 + 2 * space)]
    return x.permute(order).reshape(n, -1, channels * math.prod(geometry.kernel))
