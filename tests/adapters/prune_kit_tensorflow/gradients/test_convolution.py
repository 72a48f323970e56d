"""Every formula of a kernel's gradients against TensorFlow's own ops, one example at a time, in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import tensorflow as tf

from prune_kit_tensorflow.gradients import convolution_formulas as formulas
from prune_kit_tensorflow.gradients.convolution import Convolution, cheapest

BATCH = 3


@dataclass(frozen=True)
class Case:
    """One op; `space` is that of what the (transposed) convolution looks at."""

    kind: str
    space: tuple
    window: tuple
    strides: tuple
    dilations: tuple
    padding: object = "SAME"
    channels: int = 4
    outputs: int = 3
    groups: int = 1

    @property
    def kernel_shape(self):
        if self.kind == "depthwise":
            return (*self.window, self.channels, self.outputs)
        return (*self.window, self.channels // self.groups, self.outputs)

    def forward(self, images, kernel):
        n = len(self.space)
        options = {
            "strides": [1, *self.strides, 1],
            "padding": self.padding if isinstance(self.padding, str) else "VALID",
            "dilations": [1, *self.dilations, 1],
        }
        if not isinstance(self.padding, str) and self.kind != "transposed":
            images = tf.pad(images, [(0, 0), *self.padding, (0, 0)])
        if self.kind == "conv":
            if n == 1:
                return tf.nn.conv1d(
                    images, kernel, self.strides[0], options["padding"], dilations=self.dilations[0]
                )
            op = tf.raw_ops.Conv2D if n == 2 else tf.raw_ops.Conv3D
            return op(input=images, filter=kernel, **options)
        if self.kind == "depthwise":
            return tf.raw_ops.DepthwiseConv2dNative(input=images, filter=kernel, **options)
        sizes = [images.shape[0], *self.space, self.channels]
        if n == 2:
            if not isinstance(self.padding, str):
                flat = [side for pair in [(0, 0), *self.padding, (0, 0)] for side in pair]
                options |= {"padding": "EXPLICIT", "explicit_paddings": flat}
            return tf.raw_ops.Conv2DBackpropInput(
                input_sizes=sizes, filter=kernel, out_backprop=images, **options
            )
        return tf.raw_ops.Conv3DBackpropInputV2(
            input_sizes=sizes, filter=kernel, out_backprop=images, **options
        )

    def draw(self, rng, batch=BATCH, dtype=np.float64):
        """Images and a cotangent of the op's result."""
        looked_at = rng.normal(size=(batch, *self.space, self.channels)).astype(dtype)
        if self.kind != "transposed":
            images = tf.constant(looked_at)
            result = self.forward(images, tf.zeros(self.kernel_shape, dtype))
            return images, tf.constant(rng.normal(size=result.shape).astype(dtype))
        straight = Case("conv", *(getattr(self, f) for f in ("space", "window", "strides", "dilations")),
                        self.padding, self.channels, self.outputs)  # fmt: skip
        positions = straight.forward(tf.constant(looked_at), tf.zeros(self.kernel_shape, dtype)).shape
        return tf.constant(rng.normal(size=positions).astype(dtype)), tf.constant(looked_at)

    def convolution(self, images, cotangent):
        return Convolution(
            images, cotangent, self.kernel_shape, self.strides, self.padding, self.dilations, self.kind
        )

    def gradients(self, images, cotangent):
        """Shape (b, *kernel_shape), from batches of one.

        By the tape where TensorFlow has the gradient on a CPU. Where it has not (dilation, groups), by the op
        alone: it is linear in its kernel, so an entry's derivative is the op's value at a unit kernel.
        """
        if all(step == 1 for step in self.dilations) and self.groups == 1:
            kernel = tf.zeros(self.kernel_shape, images.dtype)
            rows = []
            for i in range(len(images)):
                with tf.GradientTape() as tape:
                    tape.watch(kernel)
                    loss = tf.reduce_sum(self.forward(images[i : i + 1], kernel) * cotangent[i : i + 1])
                rows.append(tape.gradient(loss, kernel).numpy())
            return np.stack(rows)
        columns = []
        for unit in np.eye(math.prod(self.kernel_shape)):
            value = self.forward(images, tf.constant(unit.reshape(self.kernel_shape))).numpy()
            columns.append((value * cotangent.numpy()).reshape(len(images), -1).sum(1))
        return np.stack(columns, axis=1).reshape(-1, *self.kernel_shape)


CASES = [
    Case("conv", (7, 6), (3, 3), (1, 1), (1, 1)),
    Case("conv", (7, 6), (3, 2), (1, 1), (1, 1), "VALID"),
    Case("conv", (8, 7), (3, 3), (2, 2), (1, 1)),
    Case("conv", (9, 8), (2, 3), (2, 3), (1, 1), "VALID"),
    Case("conv", (7, 5), (1, 1), (1, 1), (1, 1)),
    Case("conv", (7, 6), (1, 1), (2, 2), (1, 1)),
    Case("conv", (5, 5), (2, 2), (3, 3), (1, 1)),
    Case("conv", (9, 8), (3, 2), (1, 1), (2, 3)),
    Case("conv", (9, 8), (3, 2), (1, 1), (2, 3), "VALID"),
    Case("conv", (9, 9), (2, 2), (2, 2), (2, 2), "VALID"),
    Case("conv", (6, 5), (3, 3), (1, 1), (1, 1), ((1, 2), (0, 1))),
    Case("conv", (6, 7), (3, 3), (2, 2), (1, 1), ((1, 1), (2, 0))),
    Case("conv", (6, 5), (3, 3), (1, 1), (1, 1), groups=2, outputs=6),
    Case("conv", (7, 6), (3, 3), (2, 2), (1, 1), groups=2, outputs=2),
    Case("conv", (6, 5), (3, 2), (1, 1), (1, 1), groups=4, outputs=8),
    Case("conv", (1, 1), (3, 3), (1, 1), (1, 1)),
    Case("conv", (1, 9), (1, 3), (1, 1), (1, 1)),
    Case("conv", (9,), (3,), (1,), (1,)),
    Case("conv", (9,), (4,), (2,), (1,)),
    Case("conv", (9,), (3,), (1,), (2,), "VALID"),
    Case("conv", (4, 5, 3), (2, 3, 2), (1, 1, 1), (1, 1, 1), channels=2),
    Case("conv", (5, 4, 5), (2, 3, 2), (2, 2, 1), (1, 1, 1), channels=2),
    Case("conv", (4, 5, 4), (2, 2, 2), (1, 2, 1), (1, 1, 1), "VALID", channels=2),
    Case("depthwise", (7, 6), (3, 3), (1, 1), (1, 1), outputs=1),
    Case("depthwise", (8, 7), (3, 2), (2, 2), (1, 1), outputs=2),
    Case("depthwise", (8, 7), (3, 3), (1, 1), (1, 1), "VALID", outputs=2),
    Case("depthwise", (7, 6), (3, 3), (1, 1), (1, 1), outputs=3, channels=1),
    Case("transposed", (8, 7), (3, 3), (2, 2), (1, 1)),
    Case("transposed", (7, 8), (3, 2), (1, 1), (1, 1), "VALID"),
    Case("transposed", (8, 8), (3, 2), (2, 3), (1, 1), "VALID"),
    Case("transposed", (7, 8), (3, 3), (2, 2), (1, 1), ((1, 1), (0, 2))),
    Case("transposed", (4, 5, 4), (2, 2, 3), (2, 1, 2), (1, 1, 1), channels=2),
]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_formula(case, rng):
    images, cotangent = case.draw(rng)
    expected = case.gradients(images, cotangent)
    flat = expected.reshape(BATCH, -1)

    @tf.function
    def compute(images, cotangent):
        whole = case.convolution(images, cotangent)
        c = whole.correlation()
        written = {name: way.apply(c) for name, way in formulas.written(c).items()}
        squared = {name: way.apply(c) for name, way in formulas.squared(c).items()}
        return written, squared, whole.written_out(), whole.squared_norms()

    written, squared, whole, norms = compute(images, cotangent)
    assert whole.shape == expected.shape
    for name, value in [*written.items(), ("chosen", whole)]:
        np.testing.assert_allclose(
            value.numpy().reshape(BATCH, -1), flat, rtol=1e-10, atol=1e-12, err_msg=name
        )
    for name, value in [*squared.items(), ("chosen", norms)]:
        np.testing.assert_allclose(value, (flat**2).sum(1), rtol=1e-10, err_msg=name)
    assert "gram" in squared
    assert ("native" in written) == (
        len(case.space) > 1
        and set(case.dilations) == {1}
        and case.groups in (1, case.channels)
    )  # fmt: skip
    assert ("pixels" in squared) == (
        set(case.strides) == {1} and math.prod(case.window) > 1 and case.groups == 1
        and (case.kind != "depthwise" or case.channels == 1)
    )  # fmt: skip


@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[12], CASES[24]], ids=str)
def test_examples_in_turns(case, rng, monkeypatch):
    """Large temporaries make the examples take turns; the numbers stay."""
    images, cotangent = case.draw(rng)
    together = {
        name: way.apply(case.convolution(images, cotangent).correlation())
        for name, way in formulas.squared(case.convolution(images, cotangent).correlation()).items()
    }
    monkeypatch.setattr(formulas, "_AT_ONCE", 0)
    c = case.convolution(images, cotangent).correlation()
    for name, way in formulas.squared(c).items():
        assert way.in_turns
        np.testing.assert_allclose(way.apply(c), together[name], rtol=1e-12, err_msg=name)


def test_random_geometries(rng):
    """What no list thinks of: odd sizes, windows beyond the image, uneven strides and dilations."""
    for _ in range(40):
        n = int(rng.integers(1, 4))
        window = tuple(int(k) for k in rng.integers(1, 4, n))
        dilated = bool(rng.integers(2)) and n < 3
        dilations = tuple(int(d) for d in rng.integers(1, 3, n)) if dilated else (1,) * n
        strides = (1,) * n if dilated else tuple(int(s) for s in rng.integers(1, 4, n))
        space = tuple(int(s) for s in rng.integers(5 if n < 3 else 3, 9 if n < 3 else 5, n))
        case = Case("conv", space, window, strides, dilations, str(rng.choice(["SAME", "VALID"])), 2, 2)
        images, cotangent = case.draw(rng)
        expected = case.gradients(images, cotangent)
        convolution = case.convolution(images, cotangent)
        np.testing.assert_allclose(
            convolution.written_out(), expected, rtol=1e-10, atol=1e-12, err_msg=str(case)
        )
        np.testing.assert_allclose(
            convolution.squared_norms(), (expected.reshape(BATCH, -1) ** 2).sum(1), rtol=1e-10,
            err_msg=str(case),
        )  # fmt: skip


@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[24], CASES[27]], ids=str)
def test_batch_of_any_size(case, rng):
    """One trace with an unknown batch size serves all, the empty batch too."""
    images, cotangent = case.draw(rng)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, *images.shape[1:]], tf.float64),
            tf.TensorSpec([None, *cotangent.shape[1:]], tf.float64),
        ]
    )
    def compute(images, cotangent):
        convolution = case.convolution(images, cotangent)
        return convolution.written_out(), convolution.squared_norms()

    for batch in (5, 1, 0):
        images, cotangent = case.draw(rng, batch)
        written, norms = compute(images, cotangent)
        assert written.shape == (batch, *case.kernel_shape)
        assert norms.shape == (batch,)
        if batch:
            expected = case.gradients(images, cotangent)
            np.testing.assert_allclose(written, expected, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(norms, (expected.reshape(batch, -1) ** 2).sum(1), rtol=1e-10)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float16, tf.bfloat16])
def test_low_precision(dtype, rng):
    """float32 stays; halves are widened before anything is multiplied."""
    case = CASES[2]
    images, cotangent = (tf.cast(field, dtype) for field in case.draw(rng))
    expected = case.gradients(tf.cast(images, tf.float64), tf.cast(cotangent, tf.float64))
    convolution = case.convolution(images, cotangent)
    assert convolution.squared_norms().dtype == tf.float32
    np.testing.assert_allclose(convolution.written_out(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        convolution.squared_norms(), (expected.reshape(BATCH, -1) ** 2).sum(1), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("channels", "pixels", "outputs", "window", "stride", "name"),
    [
        (1, 28, 32, 1, 1, "columns"),
        (64, 32, 64, 3, 1, "native"),
        (256, 8, 512, 3, 2, "gram"),
        (512, 4, 512, 3, 1, "pixels"),
    ],
)
def test_choice(channels, pixels, outputs, window, stride, name):
    """Layers of well-known networks take the formulas that were measured to be the fastest for them."""
    positions = -(-pixels // stride)
    convolution = Convolution(
        tf.zeros((1, pixels, pixels, channels)), tf.zeros((1, positions, positions, outputs)),
        (window, window, channels, outputs), (stride, stride), "SAME", (1, 1),
    )  # fmt: skip
    found = formulas.squared(convolution.correlation())
    assert cheapest(found) is found[name]
