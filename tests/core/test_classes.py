from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prune_kit.classes import ClassCount, apportion, class_counts
from prune_kit.errors import PruneKitError

sizes_and_total = st.lists(st.integers(1, 40), min_size=1, max_size=8).flatmap(
    lambda sizes: st.tuples(st.just(sizes), st.integers(0, sum(sizes)))
)


def test_counts_before_and_after_in_class_order():
    labels = np.array([9, 2, 9, 5, 9, 2])
    assert class_counts(labels, [0, 1, 4]) == [ClassCount(2, 2, 1), ClassCount(5, 1, 0), ClassCount(9, 3, 2)]
    assert class_counts(labels) == [ClassCount(2, 2, 2), ClassCount(5, 1, 1), ClassCount(9, 3, 3)]
    assert class_counts(labels, []) == [ClassCount(2, 2, 0), ClassCount(5, 1, 0), ClassCount(9, 3, 0)]


def test_counts_of_string_classes_are_plain_python():
    (cat, dog) = class_counts(np.array(["dog", "cat", "dog"], dtype=object), np.array([0]))
    assert cat == ("cat", 1, 0)
    assert dog == ("dog", 2, 1)
    assert {type(value) for value in (*cat, *dog)} == {str, int}


@settings(deadline=None, derandomize=True)
@given(sizes_and_total)
def test_shares_are_the_largest_remainders(case):
    sizes, total = case
    shares = apportion(total, np.array(sizes), np.array(sizes)).tolist()
    assert sum(shares) == total
    quotas = [Fraction(total * size, sum(sizes)) for size in sizes]
    rounded_up = sorted(range(len(sizes)), key=lambda i: (-(quotas[i] % 1), i))
    expected = [int(quota) for quota in quotas]
    for i in rounded_up[: total - sum(expected)]:
        expected[i] += 1
    assert shares == expected


@settings(deadline=None, derandomize=True)
@given(sizes_and_total, st.data())
def test_what_a_class_cannot_take_flows_on(case, data):
    sizes, _ = case
    room = [data.draw(st.integers(0, size)) for size in sizes]
    total = data.draw(st.integers(0, sum(room)))
    shares = apportion(total, np.array(sizes), np.array(room))
    assert int(shares.sum()) == total
    assert (shares <= room).all()
    # Nobody with room left gets less than the whole part of its share.
    assert all(
        share >= min(total * size // sum(sizes), r)
        for share, size, r in zip(shares, sizes, room, strict=True)
    )


def test_ties_go_to_the_first_class():
    assert apportion(2, np.array([3, 3, 3]), np.array([3, 3, 3])).tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ([0, 3], "from 0 to 2; got 0 to 3"),
        ([-1], "got -1 to -1"),
        ([1, 1], "each position once"),
        ([True, False, True], r"dtype bool\. Hint: .*flatnonzero"),
        ([0.0], "dtype float64"),
        ([[0]], r"shape \(1, 1\)"),
    ],
)
def test_kept_must_be_positions(kept, message):
    with pytest.raises(PruneKitError, match=message):
        class_counts([0, 1, 0], kept)


def test_labels_must_be_there():
    with pytest.raises(PruneKitError, match=r"shape \(n,\), one per example; got \(0,\)"):
        class_counts([])
