"""`at_least` of every way of choosing: no class below its floor, the rest as without it."""

from itertools import combinations

import array_api_strict
import jax.numpy
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prune_kit.errors import PruneKitError
from prune_kit.exclude import exclude_flagged
from prune_kit.select import keep_easiest, keep_hardest, keep_random, keep_window
from prune_kit.stratified import keep_stratified

property_test = settings(max_examples=300, deadline=None, derandomize=True)
tied = st.sampled_from([-1.5, -0.0, 0.0, 0.25, 3.0, float("inf")])


@st.composite
def problems(draw, most=40):
    """Scores with ties, labels, a floor and a number to keep that is no smaller than all floors."""
    n = draw(st.integers(1, most))
    scores = np.array(draw(st.lists(tied, min_size=n, max_size=n)), np.float32)
    labels = draw(st.lists(st.sampled_from("abc"), min_size=n, max_size=n))
    at_least = draw(st.integers(0, 6) | st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]))
    floors = floors_of(labels, at_least)
    count = draw(st.integers(sum(floors.values()), n))
    return scores, labels, at_least, floors, count


def floors_of(labels, at_least):
    sizes = {label: labels.count(label) for label in set(labels)}
    if isinstance(at_least, int):
        return {label: min(size, at_least) for label, size in sizes.items()}
    hundredths = round(at_least * 100)
    return {label: max(size * hundredths // 100, int(at_least > 0)) for label, size in sizes.items()}


def by_definition(scores, labels, floors, offset, count):
    """The rule of the docstring, one example at a time."""
    ascending = sorted(range(len(scores)), key=lambda i: float(scores[i]))
    window = list(range(offset, offset + count))
    have = {label: sum(labels[ascending[rank]] == label for rank in window) for label in floors}
    below, above = [], []
    outside = [rank for rank in range(len(scores)) if rank not in window]
    for rank in sorted(outside, key=lambda r: (offset - r if r < offset else r - offset - count + 1, r)):
        if have[labels[ascending[rank]]] < floors[labels[ascending[rank]]]:
            have[labels[ascending[rank]]] += 1
            (below if rank < offset else above).append(rank)
    for walk, times in ((list, len(below)), (lambda ranks: list(reversed(ranks)), len(above))):
        for _ in range(times):
            rank = next(r for r in walk(window) if have[labels[ascending[r]]] > floors[labels[ascending[r]]])
            have[labels[ascending[rank]]] -= 1
            window.remove(rank)
    return sorted(ascending[rank] for rank in [*below, *window, *above])


@property_test
@given(problems(), st.data())
def test_the_window_gives_way_at_the_end_next_to_what_comes_in(problem, data):
    scores, labels, at_least, floors, count = problem
    offset = data.draw(st.integers(0, len(scores) - count))
    options = {"count": count, "labels": labels, "at_least": at_least}
    kept = keep_window(scores, offset=offset, **options).tolist()
    assert kept == by_definition(scores, labels, floors, offset, count)
    last = len(scores) - count
    assert keep_hardest(scores, **options).tolist() == keep_window(scores, offset=last, **options).tolist()
    assert keep_easiest(scores, **options).tolist() == keep_window(scores, offset=0, **options).tolist()


@property_test
@given(problems())
def test_the_hardest_of_each_class_then_the_hardest_of_all(problem):
    scores, labels, at_least, floors, count = problem
    descending = sorted(range(len(scores)), key=lambda i: (float(scores[i]), i), reverse=True)
    expected = []
    for label, floor in floors.items():
        expected += [i for i in descending if labels[i] == label][:floor]
    expected += [i for i in descending if i not in expected][: count - len(expected)]
    assert keep_hardest(scores, count=count, labels=labels, at_least=at_least).tolist() == sorted(expected)


@property_test
@given(problems(most=9))
def test_no_other_subset_with_these_floors_is_harder(problem):
    scores, labels, at_least, floors, count = problem
    scores = np.minimum(scores, 10)
    best = max(
        sum(float(scores[i]) for i in subset)
        for subset in combinations(range(len(scores)), count)
        if all([labels[i] for i in subset].count(label) >= floor for label, floor in floors.items())
    )
    kept = keep_hardest(scores, count=count, labels=labels, at_least=at_least)
    assert scores[kept].sum(dtype=np.float64) == pytest.approx(best)


@property_test
@given(problems(), st.data())
def test_every_method_keeps_the_floors_and_exactly_as_many(problem, data):
    scores, labels, at_least, floors, count = problem
    n = len(scores)
    options = {"count": count, "labels": labels, "at_least": at_least}
    hardest = data.draw(st.integers(0, n - count))
    for kept in (
        keep_random(n, seed=1, **options),
        keep_stratified(scores, seed=1, strata=3, prune_hardest=hardest, **options),
    ):
        assert len(kept) == count
        assert np.all(np.diff(kept) > 0)
        assert all(np.sum(np.array(labels)[kept] == label) >= floor for label, floor in floors.items())


IMBALANCED = np.repeat(np.arange(10), np.geomspace(1000, 10, 10).round().astype(int))
SCORES = np.random.default_rng(0).gamma(0.5, size=IMBALANCED.size) + IMBALANCED[::-1] / 20


@pytest.mark.parametrize("at_least", [5, 0.2])
@pytest.mark.parametrize(
    "keep",
    [
        keep_hardest,
        keep_easiest,
        lambda scores, **options: keep_window(scores, offset=0.3, **options),
        lambda scores, **options: keep_random(len(scores), seed=0, **options),
        lambda scores, **options: keep_stratified(scores, seed=0, prune_hardest=0.1, **options),
    ],
    ids=["hardest", "easiest", "window", "random", "stratified"],
)
def test_ten_classes_one_to_a_hundred(keep, at_least):
    sizes = np.bincount(IMBALANCED)
    assert (sizes.max(), sizes.min()) == (1000, 10)
    count = round(0.3 * IMBALANCED.size)
    kept = np.asarray(keep(SCORES, count=count, labels=IMBALANCED, at_least=at_least))
    assert len(kept) == count
    floors = np.full(10, 5) if at_least == 5 else sizes // 5
    assert np.all(np.bincount(IMBALANCED[kept], minlength=10) >= floors)
    # Floors that ask for nothing change nothing.
    free = keep(SCORES, count=count, labels=IMBALANCED, at_least=0)
    np.testing.assert_array_equal(free, keep(SCORES, count=count))


@pytest.mark.parametrize("asarray", [torch.asarray, jax.numpy.asarray, array_api_strict.asarray])
def test_the_same_subset_in_every_library(asarray):
    scores = np.random.default_rng(1).integers(0, 20, IMBALANCED.size).astype(np.float32)
    options = {"fraction": 0.1, "labels": IMBALANCED, "at_least": 8}
    for keep in (
        keep_hardest,
        keep_easiest,
        lambda values, **sizes: keep_window(values, offset=0.5, **sizes),
        lambda values, **sizes: keep_stratified(values, seed=0, **sizes),
    ):
        kept = keep(asarray(scores), **options)
        assert type(kept) is type(asarray(scores))
        np.testing.assert_array_equal(np.asarray(kept), keep(scores, **options))


def test_random_subsets_with_floors_are_nested():
    small, large = (
        keep_random(IMBALANCED.size, count=count, seed=2, labels=IMBALANCED, at_least=5)
        for count in (100, 900)
    )
    assert np.isin(small, large).all()


def test_a_fraction_of_a_class_is_rounded_down_but_not_to_nothing():
    labels = np.repeat(["a", "b", "c"], [39, 4, 957])
    scores = np.where(labels == "c", 1.0, 0.0)
    kept = keep_hardest(scores, count=500, labels=labels, at_least=0.1)
    assert np.unique(labels[kept], return_counts=True)[1].tolist() == [3, 1, 496]
    for hundredth in range(1, 100):  # 0.29 * 100 is 28.999999999999996
        kept = keep_hardest(scores[-100:], count=hundredth, labels=labels[-100:], at_least=hundredth / 100)
        assert len(kept) == hundredth
        kept = keep_hardest(np.arange(200), count=100, labels=np.arange(200) // 100, at_least=hundredth / 200)
        assert np.sum(kept < 100) == max(hundredth // 2, 1)
    assert len(keep_hardest(scores, count=1000, labels=labels, at_least=1.0)) == 1000


def test_floors_of_what_is_not_flagged():
    labels, flags = np.array([0, 0, 0, 1, 1, 1]), np.array([True, False, False, False, False, True])
    scores = np.array([9.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    kept = exclude_flagged(keep_hardest, scores, flags, count=3, labels=labels, at_least=1)
    assert kept.tolist() == [2, 3, 4]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"at_least": 1}, r"needs `labels`; got at_least=1 alone\. Hint"),
        ({"at_least": -1, "labels": [0, 1, 0, 1]}, "`at_least` must be .* got -1"),
        ({"at_least": 1.5, "labels": [0, 1, 0, 1]}, "a float from 0 to 1.* got 1.5"),
        ({"at_least": float("nan"), "labels": [0, 1, 0, 1]}, "got nan"),
        ({"at_least": True, "labels": [0, 1, 0, 1]}, "got True"),
        ({"at_least": "1", "labels": [0, 1, 0, 1]}, "got '1'"),
        ({"at_least": 2, "labels": [0, 1, 0, 1]}, "2 of each of 2 classes is 4 examples, more than the 3"),
        ({"at_least": 1, "labels": [0, 1]}, r"`labels` must have shape \(4,\)"),
    ],
)
def test_what_does_not_fit_is_refused(options, said):
    scores = np.arange(4.0)
    for keep in (
        lambda: keep_hardest(scores, count=3, **options),
        lambda: keep_random(4, count=3, seed=0, **options),
        lambda: keep_stratified(scores, count=3, seed=0, **options),
    ):
        with pytest.raises(PruneKitError, match=said):
            keep()
