import numpy as np
import pytest

from prune_kit.histogram import bin_edges, histogram


def count(values, edges):
    """By hand: an interval has its left edge, the last one its right edge too."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        for i in range(len(counts)):
            last = i == len(counts) - 1
            if edges[i] <= value < edges[i + 1] or (last and value == edges[-1]):
                counts[i] += 1
    return counts


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_finite_value_is_counted_once(dtype):
    values = np.random.default_rng(0).gamma(1.0, 1.0, 300).astype(dtype)
    counted = histogram(values, bins=10)
    assert counted.edges == pytest.approx(np.linspace(float(values.min()), float(values.max()), 11))
    assert counted.counts.tolist() == count(values.astype(float), counted.edges)
    assert counted.counts.sum() == 300


def test_few_whole_numbers_lie_in_the_middle_of_theirs():
    counted = histogram(np.array([3.0, 5, 5, 7]), bins=10)
    assert counted.edges.tolist() == [2.5, 3.5, 4.5, 5.5, 6.5, 7.5]
    assert counted.counts.tolist() == [1, 0, 2, 0, 1]


def test_many_whole_numbers_are_cut_evenly():
    counted = histogram(np.arange(1, 1348), bins=24)
    assert len(counted.counts) == 24
    assert counted.counts.max() - counted.counts.min() <= 1


def test_what_is_in_no_interval_is_told():
    counted = histogram(np.array([0.5, np.inf, -np.inf, np.nan, 0.7]), bins=4)
    assert (counted.infinite, counted.missing, counted.counts.sum()) == (2, 1, 2)


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf, np.nan]])
def test_no_finite_value(values):
    counted = histogram(np.array(values, float), bins=3)
    assert counted.counts.tolist() == [0, 0, 0]


def test_values_that_are_all_the_same():
    assert histogram(np.full(5, 0.3), bins=4).counts.sum() == 5
    assert histogram(np.full(5, 2), bins=4).counts.tolist() == [5]


def test_edges_of_several_columns_hold_all_of_them():
    edges = bin_edges([np.array([0.5, np.inf]), np.array([-1.25, 2.0])], 5)
    assert (edges[0], edges[-1], len(edges)) == (-1.25, 2.0, 6)
