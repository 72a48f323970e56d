"""GraNd from gradients that are given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import prune_kit._norms as norms
from prune_kit.errors import PruneKitError
from prune_kit.scores import grand


def test_one_norm_over_all_parameters():
    weight = np.array([[[1.0, 2], [2, 4]], [[0, 0], [0, 0]]])
    bias = np.array([[12.0, 0], [0, 0]])
    want = np.array([13.0, 0])
    np.testing.assert_allclose(grand([weight, bias]), want)
    np.testing.assert_allclose(grand((weight, bias)), want)
    np.testing.assert_allclose(grand({"weight": weight, "bias": bias}), want)
    np.testing.assert_allclose(grand(weight), [5, 0])
    np.testing.assert_allclose(grand([[3, 4], [0, 1]]), [5, 1])
    np.testing.assert_allclose(grand(np.array([-2.0, 0, 3])), [2, 0, 3])


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(np.float32, 1e30), (np.float32, 1e-30), (np.float32, 1e-38), (np.float64, 1e200), (np.float64, 1e-200)],
)
def test_squares_neither_overflow_nor_underflow(dtype, scale):
    gradients = (np.array([[3, 4], [0, 1]]) * scale).astype(dtype)
    got = grand([gradients, gradients * 0])
    assert got.dtype == dtype
    np.testing.assert_allclose(got, np.array([5, 1]) * scale, rtol=1e-6)


def test_sizes_of_parameters_do_not_mix():
    got = grand([np.array([[1e-30], [1e30]], np.float32), np.array([[1e30], [1e-30]], np.float32)])
    np.testing.assert_allclose(got, [1e30, 1e30], rtol=1e-6)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    hnp.arrays(
        np.float32, st.tuples(st.integers(1, 9), st.integers(1, 40)), elements=st.floats(-1e6, 1e6, width=32)
    ),
    st.integers(1, 30),
)
def test_chunks_change_nothing_but_rounding(gradients, chunk):
    want = np.linalg.norm(gradients.astype(np.float64), axis=1)
    np.testing.assert_allclose(grand(gradients), want, rtol=1e-6)
    before, norms.CHUNK_ELEMENTS = norms.CHUNK_ELEMENTS, chunk
    try:
        np.testing.assert_allclose(grand([gradients, gradients[:, :1] * 0]), want, rtol=1e-6)
    finally:
        norms.CHUNK_ELEMENTS = before


def test_float_types():
    single, double = np.ones((2, 2), np.float32), np.ones((2, 2))
    assert grand([single, double]).dtype == np.float64
    assert grand(single.astype(np.float16)).dtype == np.float32
    assert grand(torch.ones(2, 2, dtype=torch.bfloat16)).dtype == torch.float32
    np.testing.assert_allclose(grand(np.full((1, 40_000), 300, np.float16)), [60_000])


def test_parameters_without_entries_add_nothing():
    np.testing.assert_allclose(grand([np.ones((2, 4)), np.ones((2, 0))]), [2, 2])


def test_own_loss_and_not_the_mean_over_a_batch():
    """Through a mean loss, scores would depend on the size of the batch, and a shorter last one stand out."""
    layer = torch.nn.Linear(3, 2)
    inputs, labels = (
        torch.randn(5, 3, generator=torch.Generator().manual_seed(0)),
        torch.tensor([0, 1, 0, 1, 1]),
    )

    def loss(parameters, x, y):
        return torch.nn.functional.cross_entropy(
            torch.func.functional_call(layer, parameters, (x[None],)), y[None]
        )

    of_each = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))
    parameters = {name: value.detach() for name, value in layer.named_parameters()}
    whole = grand(of_each(parameters, inputs, labels))
    split = torch.cat(
        [grand(of_each(parameters, inputs[part], labels[part])) for part in (slice(0, 3), slice(3, 5))]
    )
    torch.testing.assert_close(whole, split)


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        ([], "at least one array; got none"),
        ({}, "at least one array; got none"),
        (np.ones((0, 3)), r"must not be empty; got shapes \[\(0, 3\)\]"),
        ([np.ones((3, 0))], r"must not be empty; got shapes \[\(3, 0\)\]"),
        (np.float64(1), r"shape \(n, \.\.\.\); got shape \(\)"),
        (np.ones((2, 2), bool), "must hold numbers .* bool"),
        ({"w": np.ones((3, 2)), "b": np.ones(4)}, "got 3 rows in 'w' and 4 in 'b'"),
        ([np.ones((3, 2)), [1.0, 2.0]], "got 3 rows in array 0 and 2 in array 1"),
        ([np.ones((3, 2)), np.array([0, np.nan, 0])], "`gradients` must be finite; got .* row 1"),
        (np.array([[1.0], [np.inf]]), "row 1"),
        (np.array([[1.0], [-np.inf]]), "row 1"),
    ],
)
def test_gradients_refused(gradients, message):
    with pytest.raises(PruneKitError, match=message):
        grand(gradients)
