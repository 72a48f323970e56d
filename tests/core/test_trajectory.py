"""Scores over epochs: against the definitions written out, on every array library."""

import itertools

import dask.array as da
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import prune_kit as pk
from prune_kit.arrays import to_numpy
from prune_kit.errors import PruneKitError

array_api_strict = pytest.importorskip("array_api_strict")
LIBRARIES = {
    "numpy": np.asarray,
    "torch": torch.tensor,
    "jax": jnp.asarray,
    "dask": lambda x: da.from_array(x, chunks=(1, 2)),
    "strict": array_api_strict.asarray,
}
PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)
MATRICES = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8))


def events_by_definition(history):
    """Toneva et al., section 3, for one example: its presentations in the order of time."""
    if not any(history):
        return np.inf
    return sum(before and not after for before, after in itertools.pairwise(history))


@PROPERTY
@given(MATRICES)
def test_forgetting_is_its_definition(correct):
    got = pk.forgetting(correct)
    assert got.tolist() == [events_by_definition(column.tolist()) for column in correct.T]


@PROPERTY
@given(MATRICES, st.data())
def test_forgetting_compares_successive_presentations(correct, data):
    seen = data.draw(hnp.arrays(bool, correct.shape))
    seen[0, ~seen.any(axis=0)] = True
    want = [events_by_definition(c[s].tolist()) for c, s in zip(correct.T, seen.T, strict=True)]
    assert pk.forgetting(correct, seen=seen).tolist() == want


def test_an_example_never_learned_is_the_hardest_and_not_the_easiest():
    """Trap 4: a published implementation gives 0 and prunes it first."""
    correct = np.array([[True, False, True, False]] * 3 + [[False, False, True, True]])
    assert pk.forgetting(correct).tolist() == [1, np.inf, 0, 0]
    assert pk.keep_hardest(pk.forgetting(correct), count=1).tolist() == [1]
    assert pk.forgetting(correct, never_learned=4).tolist() == [1, 4, 0, 0]


def test_a_mean_over_seeds_with_one_infinity_is_infinite_and_a_sentinel_is_not():
    first = np.array([[False, True], [False, False]])
    second = np.array([[True, True], [True, True]])
    scores = np.stack([pk.forgetting(first), pk.forgetting(second)])
    assert pk.mean_over_seeds(scores).tolist() == [np.inf, 0.5]
    finite = np.stack([pk.forgetting(each, never_learned=2) for each in (first, second)])
    assert pk.mean_over_seeds(finite).tolist() == [1.0, 0.5]


def paper_aum(logits, labels):
    """Pleiss et al. 2020, equation 1, for (epochs, n, c): label's logit less the largest other."""
    n = len(labels)
    own = logits[:, np.arange(n), labels]
    others = logits.copy()
    others[:, np.arange(n), labels] = -np.inf
    return (own - others.max(axis=2)).mean(axis=0)


def test_aum_of_logit_margins_is_minus_the_papers():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(6, 40, 5)), rng.integers(5, size=40)
    margins = np.stack([pk.logit_margin(each, labels) for each in logits])
    np.testing.assert_allclose(pk.aum(margins), -paper_aum(logits, labels), rtol=1e-12)


def test_cartography_is_mean_and_population_deviation_of_the_labels_probability():
    p = np.random.default_rng(1).random((7, 30))
    np.testing.assert_allclose(pk.confidence(p), 1 - p.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(pk.variability(p), p.std(axis=0), rtol=1e-12)
    assert pk.variability(p[:1]).tolist() == [0] * 30


def test_mean_and_last_count_presentations_alone():
    values = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 4.0]])
    seen = np.array([[True, True], [True, False], [False, True]])
    assert pk.mean_over_epochs(values, seen=seen).tolist() == [2, 3]
    assert pk.last_over_epochs(values, seen=seen).tolist() == [3, 4]
    assert pk.aum(values, seen=seen).tolist() == [2, 3]


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_library_gives_the_same(library):
    rng = np.random.default_rng(2)
    convert = LIBRARIES[library]
    correct = rng.random((5, 9)) > 0.4
    p, margins = rng.random((5, 9)).astype(np.float32), rng.normal(size=(5, 9)).astype(np.float32)
    seen = rng.random((5, 9)) > 0.3
    seen[1] = True
    for mask in (None, seen):
        given = None if mask is None else convert(mask)
        for function, values in (
            (pk.forgetting, correct),
            (pk.aum, margins),
            (pk.confidence, p),
            (pk.variability, p),
            (pk.mean_over_epochs, margins),
            (pk.last_over_epochs, margins),
        ):
            want = function(values, seen=mask)
            got = function(convert(values), seen=given)
            assert type(got) is type(convert(values))
            np.testing.assert_allclose(to_numpy(got), want, rtol=2e-6, atol=1e-7)


def test_float_types_are_kept_and_halves_widened():
    for dtype, result in ((np.float16, np.float32), (np.float32, np.float32), (np.float64, np.float64)):
        p = np.full((3, 2), 0.25, dtype)
        for function in (pk.aum, pk.confidence, pk.variability, pk.mean_over_epochs, pk.last_over_epochs):
            assert function(p).dtype == result


def test_a_mean_over_many_epochs_is_accumulated_in_float64():
    p = np.full((10_000, 1), 0.1, np.float32)
    assert abs(float(pk.mean_over_epochs(p)[0]) / float(np.float32(0.1)) - 1) < 1e-7
    assert float(pk.variability(p)[0]) < 1e-7


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pk.forgetting(np.ones((3, 4))), r"must be bool; got dtype float64\. Hint: predicted =="),
        (lambda: pk.forgetting(np.ones(4, bool)), r"shape \(epochs, n\), both at least 1; got \(4,\)"),
        (lambda: pk.forgetting(np.ones((0, 4), bool)), r"got \(0, 4\)"),
        (lambda: pk.forgetting(np.ones((2, 2), bool), never_learned=float("nan")), "`never_learned` must be"),
        (lambda: pk.forgetting(np.ones((2, 2), bool), never_learned=-1), "0 or more, or infinity; got -1"),
        (
            lambda: pk.forgetting(np.ones((2, 3), bool), seen=np.ones((2, 2), bool)),
            r"`seen` must be bool of shape \(2, 3\)",
        ),
        (
            lambda: pk.aum(np.ones((2, 3)), seen=np.array([[True, False, True], [True, False, False]])),
            "1 never were, the first at position 1",
        ),
        (lambda: pk.aum(np.array([[1.0, np.nan]])), "NaN or an infinity in row 0 .*position 1"),
        (lambda: pk.aum(np.array([["a"]])), "`margins` must be real numbers"),
        (lambda: pk.confidence(np.array([[1.5]])), r"in \[0, 1\]; got values from 1.5 to 1.5"),
        (lambda: pk.variability(np.array([[-0.5]])), r"in \[0, 1\]; got values from -0.5"),
    ],
)  # fmt: skip
def test_bad_input_is_told(call, message):
    with pytest.raises(PruneKitError, match=message):
        call()
