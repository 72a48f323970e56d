import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prune_kit.errors import PruneKitError
from prune_kit.stratified import keep_stratified


def skewed(n=5000):
    """Most scores are low, as on an easy data set."""
    return np.random.default_rng(0).gamma(0.5, size=n)


def counts_by_stratum(scores, kept, hardest, strata):
    """As the paper has it, written out: the hardest left out, intervals of equal width, who is in which."""
    candidates = np.argsort(scores, kind="stable")[: len(scores) - hardest]
    edges = np.linspace(scores[candidates].min(), scores[candidates].max(), strata + 1)
    place = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, strata - 1)
    there = np.bincount(place[candidates], minlength=strata)
    return there, np.bincount(place[kept], minlength=strata)


@pytest.mark.parametrize("hardest", [0, 500])
@pytest.mark.parametrize("count", [10, 300, 1500, 4500])
def test_each_stratum_gives_the_same_or_all_it_has(hardest, count):
    scores = skewed()
    kept = keep_stratified(scores, count=count, prune_hardest=hardest, strata=20, seed=0)
    there, taken = counts_by_stratum(scores, kept, hardest, 20)
    assert taken.sum() == len(kept) == count
    most = taken.max()
    assert all(some == all_there or some >= most - 1 for some, all_there in zip(taken, there, strict=True))


def test_the_hardest_are_never_among_them():
    scores = skewed()
    kept = keep_stratified(scores, fraction=0.5, prune_hardest=0.2, seed=3)
    hardest = np.argsort(scores, kind="stable")[-1000:]
    assert not np.isin(kept, hardest).any()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_exactly_as_many_as_asked_for_each_once(data):
    n = data.draw(st.integers(1, 60))
    scores = data.draw(
        st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 7.0, float("inf")]), min_size=n, max_size=n)
    )
    count = data.draw(st.integers(0, n))
    hardest = data.draw(st.integers(0, n - count))
    strata = data.draw(st.integers(1, 70))
    labels = data.draw(st.none() | st.lists(st.sampled_from("abc"), min_size=n, max_size=n))
    kept = keep_stratified(
        np.array(scores), count=count, prune_hardest=hardest, strata=strata, seed=0, labels=labels
    )
    assert len(kept) == count
    assert np.all(np.diff(kept) > 0)


def test_nothing_left_over_is_the_complement_of_the_hardest():
    scores = skewed(100)
    kept = keep_stratified(scores, count=70, prune_hardest=30, seed=0)
    np.testing.assert_array_equal(kept, np.sort(np.argsort(scores, kind="stable")[:70]))


def test_within_a_stratum_it_is_a_fair_draw():
    scores = np.concatenate([np.zeros(10), np.ones(10)])
    times = np.zeros(20)
    for seed in range(2000):
        times[keep_stratified(scores, count=4, strata=2, seed=seed)] += 1
    # 2 of 10 each time: 400 expected, standard deviation 18.
    assert np.all(np.abs(times - 400) < 90)


def test_the_same_seed_gives_the_same_subset_in_every_library():
    scores = skewed(300)
    expected = keep_stratified(scores, count=90, seed=5)
    assert not np.array_equal(expected, keep_stratified(scores, count=90, seed=6))
    for library in (torch.asarray, array_api_strict.asarray):
        kept = keep_stratified(library(scores), count=90, seed=5)
        assert type(kept) is type(library(scores))
        np.testing.assert_array_equal(np.asarray(kept), expected)


def test_each_class_has_its_share():
    scores, labels = skewed(300), np.repeat(["a", "b", "c"], [200, 90, 10])
    kept = keep_stratified(scores, count=30, seed=0, labels=labels, strata=5)
    assert np.unique(labels[kept], return_counts=True)[1].tolist() == [20, 9, 1]
    assert keep_stratified(scores, count=2, seed=0, ids=np.arange(300) + 1000).min() >= 1000


def test_extreme_scores_do_not_overflow():
    scores = np.array([-1e308, 0.0, 1e308, np.inf])
    assert keep_stratified(scores, count=4, seed=0).tolist() == [0, 1, 2, 3]
    assert len(keep_stratified(np.full(5, np.inf), count=2, seed=0)) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strata": 0}, "`strata` must be"),
        ({"strata": 2.5}, "`strata` must be"),
        ({"seed": -1}, "`seed` must be"),
        ({"prune_hardest": 1.0}, "`prune_hardest` must be"),
        ({"prune_hardest": -1}, "`prune_hardest` must be"),
        ({"prune_hardest": float("nan")}, "`prune_hardest` must be"),
        ({"prune_hardest": 6}, "at most 4 can be kept"),
        ({"count": 11}, "count"),
    ],
)
def test_what_does_not_fit_is_refused(options, said):
    with pytest.raises(PruneKitError, match=said):
        keep_stratified(np.arange(10.0), **{"count": 5, "seed": 0, **options})
