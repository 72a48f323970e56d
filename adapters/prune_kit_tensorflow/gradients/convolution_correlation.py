"""What every kind of convolution's kernel gradient is: a correlation of two fields on a grid.

In each group of channels, gradient[k, i, o] is the sum over positions t of
x[t * stride + k * dilation - before, i] * g[t, o]. A depthwise convolution has one group for each channel;
in a transposed one the two fields change places.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import tensorflow as tf

Padding = Literal["SAME", "VALID"] | Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Correlation:
    """The field `x` (b, *space, groups * inputs) against `g` (b, *positions, groups * outputs)."""

    x: Any
    g: Any
    window: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    padding: Padding
    groups: int

    @property
    def positions(self) -> tuple[int, ...]:
        """The grid of `g`."""
        return tuple(self.g.shape[1:-1])

    @property
    def inputs(self) -> int:
        """Channels of `x` in one group."""
        return int(self.x.shape[-1]) // self.groups

    @property
    def outputs(self) -> int:
        """Channels of `g` in one group."""
        return int(self.g.shape[-1]) // self.groups

    @property
    def reach(self) -> list[int]:
        """How many pixels one window spans."""
        return [(size - 1) * step + 1 for size, step in zip(self.window, self.dilations, strict=True)]

    @property
    def pads(self) -> list[tuple[int, int]]:
        """Zeros before and after each axis; where "SAME" needs an odd number, the extra one comes after."""
        if self.padding == "VALID":
            return [(0, 0)] * len(self.window)
        if self.padding != "SAME":
            return [(before, after) for before, after in self.padding]
        space = self.x.shape[1:-1]
        missing = [
            max((t - 1) * stride + reach - n, 0)
            for t, stride, reach, n in zip(self.positions, self.strides, self.reach, space, strict=True)
        ]
        return [(total // 2, total - total // 2) for total in missing]

    def example(self, index: Any) -> Correlation:
        """One example of the batch, as a batch of one."""
        parts = [
            tf.slice(field, [index] + [0] * (field.shape.rank - 1), [1, *field.shape[1:]])
            for field in (self.x, self.g)
        ]
        return replace(self, x=parts[0], g=parts[1])

    def padded(self) -> Any:
        """`x` with its zeros written out."""
        return tf.pad(self.x, [(0, 0), *self.pads, (0, 0)])

    def taps(self) -> Iterator[Any]:
        """For each place in the window, what it meets: shape (b, *positions, groups * inputs).

        Strided slices are slow in TensorFlow, so each residue modulo the strides is cut out once, and the
        taps are plain slices of those.
        """
        x = self._whole_strides()
        phases: dict[tuple[int, ...], Any] = {}
        for place in itertools.product(*map(range, self.window)):
            offsets = [tap * step for tap, step in zip(place, self.dilations, strict=True)]
            phase = tuple(offset % stride for offset, stride in zip(offsets, self.strides, strict=True))
            if phase not in phases:
                phases[phase] = x[(slice(None), *itertools.chain(*((slice(None), p) for p in phase)))]
            starts = [offset // stride for offset, stride in zip(offsets, self.strides, strict=True)]
            picked = (slice(start, start + t) for start, t in zip(starts, self.positions, strict=True))
            yield phases[phase][(slice(None), *picked)]

    def _whole_strides(self) -> Any:
        """`x` padded and cut to what the windows see, each axis split in two: (strides, within a stride)."""
        pads, sizes = [], []
        for axis, (stride, reach) in enumerate(zip(self.strides, self.reach, strict=True)):
            before, n = self.pads[axis][0], self.x.shape[1 + axis]
            seen = (self.positions[axis] - 1) * stride + reach
            sizes.append(-(-seen // stride) * stride)
            pads.append((before, max(sizes[-1] - before - n, 0)))
        x = tf.pad(self.x, [(0, 0), *pads, (0, 0)])
        x = x[(slice(None), *(slice(size) for size in sizes))]
        split = [(size // stride, stride) for size, stride in zip(sizes, self.strides, strict=True)]
        return tf.reshape(x, [-1, *itertools.chain(*split), self.x.shape[-1]])

    def windows(self) -> Any:
        """Every window as a row: shape (b, groups, positions, window * inputs)."""
        shape = [-1, math.prod(self.positions), self.groups, self.inputs]
        return self._by_group(tf.concat([tf.reshape(tap, shape) for tap in self.taps()], axis=-1))

    def rows(self) -> Any:
        """`g` as a matrix: shape (b, groups, positions, outputs)."""
        return self._by_group(tf.reshape(self.g, [-1, math.prod(self.positions), self.groups, self.outputs]))

    def _by_group(self, field: Any) -> Any:
        if self.groups > 1:
            return tf.transpose(field, [0, 2, 1, 3])
        return tf.reshape(field, [-1, 1, field.shape[1], field.shape[3]])
