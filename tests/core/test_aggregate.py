import subprocess
import sys

import array_api_strict
import dask.array
import jax.numpy
import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prune_kit.aggregate import SeedAverage, mean_over_seeds, rank_agreement, standard_error
from prune_kit.errors import PruneKitError

LIBRARIES = {
    "numpy": np.asarray,
    "array-api-strict": array_api_strict.asarray,
    "torch": torch.asarray,
    "jax": jax.numpy.asarray,
    "dask": lambda values: dask.array.from_array(values, chunks=(2, 30)),
}

matrices = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8),
    elements=st.floats(-1e6, 1e6),
)


def scores(seeds=6, n=100, dtype=np.float32):
    return np.random.default_rng(0).gamma(2.0, size=(seeds, n)).astype(dtype)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(matrices)
def test_mean_and_error_are_those_of_numpy(values):
    seeds = len(values)
    scale = np.abs(values).max() + 1
    np.testing.assert_allclose(mean_over_seeds(values), values.mean(axis=0), atol=1e-13 * scale)
    if seeds > 1:
        expected = values.std(axis=0, ddof=1) / np.sqrt(seeds)
        np.testing.assert_allclose(standard_error(values), expected, atol=1e-13 * scale)


@pytest.mark.parametrize("library", LIBRARIES)
def test_library_and_float_type_are_those_of_the_scores(library):
    values = scores()
    given_scores = LIBRARIES[library](values)
    exact = values.astype(np.float64)
    for function, expected in (
        (mean_over_seeds, exact.mean(axis=0)),
        (standard_error, exact.std(axis=0, ddof=1) / np.sqrt(6)),
        (rank_agreement, scipy.stats.spearmanr(exact.T).statistic),
    ):
        result = function(given_scores)
        assert type(result) is type(given_scores)
        assert "float32" in str(result.dtype)
        np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-6, atol=1e-7)


def test_float32_scores_are_accumulated_in_float64():
    # A float32 sum of these would lose the small part: near 1e6 its steps are 0.06.
    values = (1e6 + np.random.default_rng(0).uniform(size=(1000, 5))).astype(np.float32)
    exact = values.astype(np.float64)
    np.testing.assert_array_equal(mean_over_seeds(values), exact.mean(axis=0).astype(np.float32))
    np.testing.assert_allclose(standard_error(values), exact.std(axis=0, ddof=1) / np.sqrt(1000), rtol=1e-6)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_averaged_in_float32(half):
    values = torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=half)
    assert mean_over_seeds(values).dtype == torch.float32
    assert mean_over_seeds(values).tolist() == [1.5, 3.0]
    assert standard_error(values).tolist() == [0.5, 1.0]
    assert rank_agreement(values).dtype == torch.float32
    assert rank_agreement(values).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_bfloat16_of_jax():
    values = jax.numpy.asarray([[1.0, 3.0, 2.0], [2.0, 4.0, 6.0]], dtype=jax.numpy.bfloat16)
    assert mean_over_seeds(values).tolist() == [1.5, 3.5, 4.0]
    np.testing.assert_allclose(np.asarray(rank_agreement(values)), [[1, 0.5], [0.5, 1]])


def test_integer_scores_are_averaged_in_float64():
    values = np.array([[0, 3], [1, 4]])
    assert mean_over_seeds(values).dtype == np.float64
    assert mean_over_seeds(values).tolist() == [0.5, 3.5]


def test_one_seed_has_no_error():
    values = scores(seeds=1)
    np.testing.assert_array_equal(mean_over_seeds(values), values[0])
    assert np.isnan(standard_error(values)).all()


def test_an_infinite_score_makes_the_mean_infinite_and_the_error_unknown():
    values = np.array([[np.inf, 1.0, np.inf], [2.0, 3.0, np.inf], [4.0, 5.0, np.inf]])
    assert mean_over_seeds(values).tolist() == [np.inf, 3.0, np.inf]
    error = standard_error(values)
    assert np.isnan(error[[0, 2]]).all()
    assert error[1] == pytest.approx(2 / np.sqrt(3))


@pytest.mark.parametrize("library", LIBRARIES)
def test_streaming_equals_the_batch(library):
    values = scores()
    values[2, 5] = np.inf
    average = SeedAverage()
    for seed, row in enumerate(values):
        average.update(LIBRARIES[library](row) if library != "dask" else dask.array.from_array(row))
        assert average.count == seed + 1
        batch = LIBRARIES[library](values[: seed + 1])
        np.testing.assert_array_equal(np.asarray(average.mean), np.asarray(mean_over_seeds(batch)))
        np.testing.assert_array_equal(np.asarray(average.standard_error), np.asarray(standard_error(batch)))
    assert type(average.mean) is type(batch)


def test_the_mean_given_out_stays_as_it_was():
    average = SeedAverage()
    row = np.array([1.0, 2.0])
    average.update(row)
    first = average.mean
    row[:] = 9.0
    average.update(np.array([3.0, 4.0]))
    assert first.tolist() == [1.0, 2.0]
    first[:] = -1
    assert average.mean.tolist() == [2.0, 3.0]


def test_scores_that_need_gradients_are_averaged_without():
    values = torch.ones(2, 3, requires_grad=True)
    assert not mean_over_seeds(values).requires_grad


def test_agreement_is_spearmans_with_ties():
    values = np.random.default_rng(1).integers(0, 5, size=(4, 200)).astype(float)
    np.testing.assert_allclose(rank_agreement(values), scipy.stats.spearmanr(values.T).statistic, rtol=1e-12)


def test_agreement_ranks_infinity_highest():
    values = np.array([[np.inf, 1.0, 2.0, np.inf], [9.0, 1.0, 2.0, 9.0]])
    np.testing.assert_allclose(rank_agreement(values), np.ones((2, 2)))


def test_agreement_is_exact_at_the_ends_and_unknown_for_a_constant_seed():
    values = np.array([[1.0, 2.0, 4.0], [1.0, 20.0, 21.0], [3.0, 2.0, 1.0], [5.0, 5.0, 5.0]])
    nan = np.nan
    np.testing.assert_array_equal(
        rank_agreement(values), [[1, 1, -1, nan], [1, 1, -1, nan], [-1, -1, 1, nan], [nan, nan, nan, 1]]
    )


@pytest.mark.parametrize("function", [mean_over_seeds, standard_error, rank_agreement])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros(5), r"shape \(seeds, n\), both at least 1; got \(5,\)\. Hint: .*stack"),
        (np.zeros((0, 5)), r"got \(0, 5\)"),
        (np.array([[1.0, 2.0], [np.nan, 3.0]]), r"`scores\[1\]` must not be NaN.*1 of 2 are, at positions 0"),
        (np.array([[-np.inf, 2.0]]), r"minus infinity; 1 of 2"),
        (np.array([[True, False]]), "real numbers; got dtype bool"),
        (np.array([["a"]]), "must"),
    ],
)
def test_bad_scores_are_named(function, bad, message):
    with pytest.raises(PruneKitError, match=message):
        function(bad)


def test_seeds_must_have_the_same_examples():
    average = SeedAverage()
    average.update(np.zeros(3))
    with pytest.raises(PruneKitError, match=r"shape \(3,\), as before; got \(4,\)"):
        average.update(np.zeros(4))
    with pytest.raises(PruneKitError, match="one library"):
        average.update(torch.zeros(3))
    assert average.count == 1


def test_nothing_to_average_yet():
    for name in ("mean", "standard_error"):
        with pytest.raises(PruneKitError, match=r"nothing to average yet\. Hint: call update"):
            getattr(SeedAverage(), name)


def test_importing_it_is_light():
    """scipy.stats takes a second, and only rank_agreement needs it."""
    program = "import sys, prune_kit.aggregate; sys.exit('scipy.stats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
