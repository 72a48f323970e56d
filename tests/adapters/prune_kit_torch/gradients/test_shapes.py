"""Random shapes and geometries, and every formula of a factor against the gradient written out."""

import pytest
import torch
import torch.nn as nn
from hypothesis import given, settings
from hypothesis import strategies as st

from prune_kit_torch.gradients import gradient_norms
from prune_kit_torch.gradients.factors import Convolution, Outer, Rows
from prune_kit_torch.gradients.factors.convolution import Geometry
from prune_kit_torch.gradients.layout import Layout, find_layout
from prune_kit_torch.gradients.workspace import Workspace

few = settings(max_examples=25, deadline=None, derandomize=True)
quick = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")


class Every(Workspace):
    """Runs every candidate that there is and compares them."""

    def run(self, shape, candidates, batch, like):
        results = {
            name: super(Every, self).run(shape + name, {name: c}, batch, like)
            for name, c in candidates.items()
        }
        first = next(iter(results.values()))
        for name, other in results.items():
            torch.testing.assert_close(
                other, first, rtol=1e-9, atol=1e-12, msg=lambda m, name=name: f"{name}: {m}"
            )
        self.seen = set(results)
        return first


def squared(factor):
    return factor.dense(0, factor.batch).flatten(1).square().sum(1)


@few
@given(
    st.integers(1, 4),
    st.integers(1, 9),
    st.integers(1, 7),
    st.integers(1, 7),
    st.sampled_from([1, 10**3, 10**9]),
)
def test_outer(batch, positions, inputs, outputs, limit):
    torch.manual_seed(0)
    factor = Outer(
        torch.randn(batch, positions, inputs).double(), torch.randn(batch, positions, outputs).double()
    )
    torch.testing.assert_close(factor.squared_norms(Every(limit=limit)), squared(factor))


@few
@given(
    st.integers(1, 5), st.integers(0, 12), st.integers(1, 6), st.integers(1, 5), st.sampled_from([1, 10**9])
)
def test_rows(batch, entries, table, features, limit):
    torch.manual_seed(entries)
    example, index = torch.randint(0, batch, (entries,)), torch.randint(0, table, (entries,))
    factor = Rows(batch, table, example, index, torch.randn(entries, features).double())
    torch.testing.assert_close(factor.squared_norms(Workspace(limit=limit)), squared(factor))


@few
@given(data=st.data(), space=st.integers(1, 3), uses=st.integers(1, 2), limit=st.sampled_from([1, 10**9]))
def test_convolution(data, space, uses, limit):
    sizes = st.integers(1, 3)
    kernel = tuple(data.draw(sizes) for _ in range(space))
    stride = tuple(data.draw(st.integers(1, 2)) for _ in range(space))
    padding = tuple(data.draw(st.integers(0, 2)) for _ in range(space))
    dilation = tuple(data.draw(st.integers(1, 2)) for _ in range(space))
    groups = data.draw(st.sampled_from([1, 1, 2]))
    channels, outputs = groups * data.draw(sizes), groups * data.draw(sizes)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    image = [data.draw(st.integers(max(1, r - 2 * p), r + 3)) for r, p in zip(reach, padding, strict=True)]
    torch.manual_seed(0)
    x = torch.randn(3 * uses, channels, *image).double()
    layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[space - 1](
        channels, outputs, kernel, stride, padding, dilation, groups
    ).double()
    y = layer(x)
    g = torch.randn_like(y)
    factor = Convolution(
        x.unflatten(0, (3, uses)), g.unflatten(0, (3, uses)), tuple(layer.weight.shape),
        Geometry(kernel, stride, padding, dilation, groups),
    )  # fmt: skip
    workspace = Every(limit=limit)
    norms = factor.squared_norms(workspace)
    for i in range(3):
        (own,) = torch.autograd.grad(
            (y * g).unflatten(0, (3, uses))[i].sum(), layer.weight, retain_graph=True
        )
        torch.testing.assert_close(norms[i], own.square().sum())


@few
@quick
@given(data=st.data())
def test_models_of_random_shape(data, loop):
    batch, channels, size = (
        data.draw(st.integers(1, 5)),
        data.draw(st.integers(1, 5)),
        data.draw(st.integers(5, 7)),
    )
    kernel, stride = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
    padding = data.draw(st.sampled_from([0, 1, "same"] if stride == 1 else [0, 1]))
    width, length = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    torch.manual_seed(0)
    convolution = nn.Sequential(
        nn.Conv2d(channels, width, kernel, stride, padding), nn.GroupNorm(1, width), nn.Tanh(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3),
    ).double()  # fmt: skip
    attention = nn.Sequential(
        nn.Linear(channels, 4), nn.TransformerEncoderLayer(4, 2, width, batch_first=True), nn.Flatten(),
        nn.Linear(4 * length, 3),
    ).double()  # fmt: skip
    labels = torch.randint(0, 3, (batch,))
    image = torch.randn(batch, channels, size, size).double()
    for model, inputs in ((convolution, image), (attention, torch.randn(batch, length, channels).double())):
        norms = gradient_norms(model, inputs, labels, verify=False)
        torch.testing.assert_close(norms, loop(model, inputs, labels), rtol=1e-9, atol=1e-13)


@few
@given(
    st.integers(2, 5),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(1, 6),
    st.integers(1, 6),
)
def test_the_batch_is_found(batch, before, after, axis, first, second):
    """Whatever it is merged with; with both factors above 1 there is only one way to see it."""
    shape = [first, second]
    shape.insert(axis, before * batch * after)
    owner = Layout(axis, before, after).rows(batch, shape[axis]) if 1 in (before, after) else None
    examples = torch.arange(shape[axis]) // after % batch
    view = [1, 1, 1]
    view[axis] = -1
    touched = [(examples == i).view(view).expand(shape) for i in range(min(3, batch))]
    found = find_layout(touched, batch)
    assert found is not None
    rows = found.rows(batch, shape[found.axis])
    assert found.axis == axis
    assert torch.equal(rows.owner(shape[axis], torch.device("cpu")), examples)
    assert owner is None or rows == owner


def test_mixed_examples_are_seen():
    assert find_layout([torch.ones(3, 4), torch.ones(3, 4)], 3) is None
    assert find_layout([torch.eye(3)[i][:, None].expand(3, 3) > 0 for i in range(3)], 3) == Layout(0, 1, 1)
    assert find_layout([torch.eye(3)[i].expand(3, 3) > 0 for i in range(3)], 3) == Layout(1, 1, 1)
