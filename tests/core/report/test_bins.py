"""Bins, medians and ranks against loops and definitions written out."""

import numpy as np
import pytest

from prune_kit.report.bins import class_histogram, medians_by_class, quantiles, rank_density

RNG = np.random.default_rng(5)
ALL = RNG.gamma(1.0, 0.4, 500).astype(np.float32)
OF_CLASS = RNG.integers(0, 3, 500)


def test_a_histogram_counts_every_score_once_where_it_lies():
    scores = ALL.copy()
    scores[[3, 77]] = np.inf
    found = class_histogram(scores, OF_CLASS, 3)
    assert found.counts.shape == (3, len(found.edges) - 1)
    for code in range(3):
        own = scores[np.equal(OF_CLASS, code)].astype(np.float64)
        for b, (low, high) in enumerate(zip(found.edges, found.edges[1:], strict=False)):
            is_last = b == len(found.edges) - 2
            inside = [s for s in own if low <= s and (s < high or (is_last and s == high))]
            assert found.counts[code, b] == len(inside)
        assert found.infinite[code] == sum(np.isinf(own))
    assert found.counts.sum() + found.infinite.sum() == 500


@pytest.mark.parametrize("scores", [np.full(4, 0.5), np.full(4, np.inf), np.array([0.0, 1.0, 1.0, 3.0])])
def test_scores_that_are_few_or_the_same_are_all_counted(scores):
    found = class_histogram(scores, np.array([0, 0, 1, 1]), 2)
    assert found.counts.sum() + found.infinite.sum() == 4
    assert np.all(np.diff(found.edges) > 0)


def test_whole_numbers_have_a_bin_each():
    found = class_histogram(np.array([0.0, 1.0, 1.0, 3.0]), np.zeros(4, np.int64), 1)
    assert found.counts[0].tolist() == [1, 2, 0, 1]


def test_medians_and_quantiles_are_scores_of_examples_and_may_be_infinite():
    scores = np.array([1.0, 2.0, 3.0, np.inf, np.inf, np.inf, 0.5])
    codes = np.array([0, 0, 0, 1, 1, 1, 1])
    assert medians_by_class(scores, codes, 2) == [2.0, np.inf]
    assert quantiles(np.arange(101.0)) == [5.0, 25.0, 50.0, 75.0, 95.0]
    assert quantiles(np.array([1.0, np.inf])) == [1.0, 1.0, 1.0, np.inf, np.inf]


def test_density_is_that_of_the_ranks_and_equal_scores_stay_together():
    first, second = ALL[:40], RNG.integers(0, 3, 40).astype(float)
    found = rank_density(first, second, bins=4)
    expected = np.zeros((4, 4), int)
    # The mean of the places, from 1, that equal scores take in ascending order.
    ranks = [
        [np.mean([k + 1 for k, s in enumerate(sorted(scores)) if s == own]) for own in scores]
        for scores in (first, second)
    ]
    for x, y in zip(*ranks, strict=True):
        expected[min(int((x - 0.5) * 4 / 40), 3), min(int((y - 0.5) * 4 / 40), 3)] += 1
    assert found.counts.tolist() == expected.tolist()
    centred = [np.array(rank) - np.mean(rank) for rank in ranks]
    rho = np.sum(centred[0] * centred[1]) / np.sqrt(np.sum(centred[0] ** 2) * np.sum(centred[1] ** 2))
    assert found.correlation == pytest.approx(rho, abs=1e-12)
    assert rank_density(first, np.ones(40)).correlation is None
