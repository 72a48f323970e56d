import array_api_strict
import dask.array
import jax.numpy
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prune_kit.errors import PruneKitError
from prune_kit.select import keep_easiest, keep_hardest, keep_random, keep_window

LIBRARIES = {
    "array-api-strict": array_api_strict.asarray,
    "torch": torch.asarray,
    "jax": jax.numpy.asarray,
    "dask": lambda values: dask.array.from_array(values, chunks=7),
}

# Few distinct values, so that ties are everywhere; 0.0 and -0.0 are one value.
tied = st.sampled_from([-1.5, -0.0, 0.0, 0.25, 3.0, float("inf")])
rows = st.lists(tied, min_size=1, max_size=60).map(lambda row: np.array(row, dtype=np.float32))
property_test = settings(max_examples=100, deadline=None, derandomize=True)


def by_definition(scores, offset, count):
    """Python's sort is stable, and knows nothing of NumPy's partition."""
    ascending = sorted(range(len(scores)), key=lambda i: float(scores[i]))
    return sorted(ascending[offset : offset + count])


@property_test
@given(rows, st.data())
def test_the_window_is_a_slice_of_the_stable_order(scores, data):
    count = data.draw(st.integers(0, len(scores)))
    offset = data.draw(st.integers(0, len(scores) - count))
    assert keep_window(scores, offset=offset, count=count).tolist() == by_definition(scores, offset, count)
    assert keep_easiest(scores, count=count).tolist() == by_definition(scores, 0, count)
    assert keep_hardest(scores, count=count).tolist() == by_definition(scores, len(scores) - count, count)


@property_test
@given(rows, st.data())
def test_each_class_keeps_a_window_of_its_own(scores, data):
    n = len(scores)
    labels = np.array(data.draw(st.lists(st.sampled_from([3, 5, 9]), min_size=n, max_size=n)))
    count = data.draw(st.integers(0, n))
    offset = data.draw(st.integers(0, n - count))
    kept = keep_window(scores, offset=offset, count=count, labels=labels)
    assert len(kept) == count
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        share = int(np.isin(kept, own).sum())
        assert abs(share - count * len(own) / n) < 1
        # Some window of the class's own order, at a place within one of the offset's share.
        windows = {
            tuple(own[by_definition(scores[own], start, share)])
            for start in range(len(own) - share + 1)
            if abs(start - offset * len(own) / n) < 2
        }
        assert tuple(kept[np.isin(kept, own)]) in windows


@property_test
@given(rows, st.data())
def test_the_two_ends_of_the_window_also_per_class(scores, data):
    n = len(scores)
    labels = data.draw(st.one_of(st.none(), st.lists(st.sampled_from("abc"), min_size=n, max_size=n)))
    count = data.draw(st.integers(0, n))
    easiest, hardest = (
        keep(scores, count=count, labels=labels).tolist() for keep in (keep_easiest, keep_hardest)
    )
    assert keep_window(scores, offset=0, count=count, labels=labels).tolist() == easiest
    assert keep_window(scores, offset=n - count, count=count, labels=labels).tolist() == hardest
    # Without a share to round, what is not among the easiest is the hardest.
    rest = keep_hardest(scores, count=n - count).tolist()
    assert sorted([*keep_easiest(scores, count=count).tolist(), *rest]) == list(range(n))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("labels", [None, np.arange(1000) % 3])
def test_the_same_subset_in_every_library(library, labels):
    scores = np.random.default_rng(0).integers(0, 20, 1000).astype(np.float32)
    given_scores = LIBRARIES[library](scores)
    for options in ({"count": 500}, {"fraction": 0.37}):
        for keep in (keep_hardest, keep_easiest):
            kept = keep(given_scores, labels=labels, **options)
            assert type(kept) is type(given_scores)
            assert "int" in str(kept.dtype)
            np.testing.assert_array_equal(np.asarray(kept), keep(scores, labels=labels, **options))


def test_positions_are_sorted_int64():
    kept = keep_hardest(np.array([3.0, 1.0, 2.0]), count=2)
    assert kept.dtype == np.int64
    assert kept.tolist() == [0, 2]


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, np.float16, np.float64])
def test_any_real_type_is_ranked(dtype):
    scores = np.array([5, 1, 5, 0, 3], dtype=dtype)
    assert keep_hardest(scores, count=2).tolist() == [0, 2]


@pytest.mark.parametrize(
    "scores",
    [
        torch.tensor([1.0, 3.0, 2.0], dtype=torch.bfloat16),
        jax.numpy.asarray([1.0, 3.0, 2.0], dtype=jax.numpy.bfloat16),
    ],
    ids=["torch", "jax"],
)
def test_bfloat16_is_ranked(scores):
    assert keep_hardest(scores, count=2).tolist() == [1, 2]


def test_infinity_is_the_hardest():
    scores = np.array([np.inf, 0.0, 7.0, np.inf])
    assert keep_hardest(scores, count=2).tolist() == [0, 3]
    assert keep_hardest(scores, count=1).tolist() == [3]


def test_equal_scores_are_split_by_position():
    scores = np.zeros(10)
    assert keep_easiest(scores, count=3).tolist() == [0, 1, 2]
    assert keep_window(scores, offset=4, count=3).tolist() == [4, 5, 6]
    assert keep_hardest(scores, count=3).tolist() == [7, 8, 9]


@pytest.mark.parametrize("keep", [keep_hardest, keep_easiest])
def test_nothing_and_everything_can_be_kept(keep):
    scores = np.array([2.0, 1.0, 3.0])
    assert keep(scores, count=0).tolist() == []
    assert keep(scores, fraction=1.0).tolist() == [0, 1, 2]
    assert keep(scores, count=0, labels=[0, 1, 0]).tolist() == []


def test_a_fraction_is_rounded():
    scores = np.arange(50_010, dtype=np.float32)
    assert len(keep_hardest(scores, fraction=0.5)) == 25_005
    assert len(keep_hardest(scores, fraction=0.5, labels=np.arange(50_010) % 7)) == 25_005


def test_the_offset_is_a_number_or_a_fraction():
    scores = np.arange(10.0)
    assert keep_window(scores, offset=2, count=3).tolist() == [2, 3, 4]
    assert keep_window(scores, offset=0.2, count=3).tolist() == [2, 3, 4]
    assert keep_window(scores, offset=1, count=3).tolist() == [1, 2, 3]
    assert keep_window(scores, offset=np.int64(2), fraction=0.3).tolist() == [2, 3, 4]


@pytest.mark.parametrize("n", range(1, 30))
def test_an_offset_and_a_fraction_that_make_up_the_whole_fit(n):
    for tenths in range(1, 10):
        kept = keep_window(np.arange(n), offset=tenths / 10, fraction=1 - tenths / 10)
        size = round((1 - tenths / 10) * n)
        start = min(round(tenths / 10 * n), n - size)  # 0.5 of 7 is 4 twice: more than there are
        assert kept.tolist() == list(range(start, start + size))


def test_small_classes_are_not_pruned_away():
    labels = np.array(["big"] * 90 + ["small"] * 10)
    scores = np.where(labels == "big", 1.0, 0.0) + np.linspace(0, 0.5, 100)
    assert (keep_hardest(scores, fraction=0.5) < 90).all()  # without labels, none of the small class
    kept = keep_hardest(scores, fraction=0.5, labels=labels)
    assert kept.tolist() == [*range(45, 90), *range(95, 100)]


def test_ids_name_the_result():
    scores = np.array([0.3, 0.9, 0.1, 0.5])
    assert keep_hardest(scores, count=2, ids=[40, 10, 30, 20]).tolist() == [10, 20]
    names = keep_hardest(scores, count=2, ids=["a/1.png", "a/2.png", "b/1.png", "b/2.png"])
    assert isinstance(names, np.ndarray)
    assert names.tolist() == ["a/2.png", "b/2.png"]
    tensor = keep_easiest(torch.asarray(scores), count=2, ids=torch.tensor([40, 10, 30, 20]))
    assert isinstance(tensor, torch.Tensor)
    assert tensor.tolist() == [40, 30]
    objects = np.array(["x", "yy", "z", "w"], dtype=object)
    assert keep_window(scores, offset=1, count=2, ids=objects).tolist() == ["x", "w"]


def test_random_subsets_are_nested_and_reproducible():
    small, large = (keep_random(5000, fraction=fraction, seed=3) for fraction in (0.3, 0.5))
    assert small.dtype == np.int64
    assert len(small) == 1500
    assert (np.diff(small) > 0).all()
    assert np.isin(small, large).all()
    np.testing.assert_array_equal(small, keep_random(5000, count=1500, seed=3))
    assert not np.array_equal(small, keep_random(5000, count=1500, seed=4))


def test_random_subsets_per_class_keep_the_shares_and_are_nested():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    small, large = (keep_random(1000, fraction=fraction, seed=0, labels=labels) for fraction in (0.3, 0.5))
    assert np.bincount(labels[small]).tolist() == [180, 90, 30]
    assert np.bincount(labels[large]).tolist() == [300, 150, 50]
    assert np.isin(small, large).all()


def test_random_subsets_are_uniform():
    hits = np.zeros(40)
    for seed in range(2000):
        hits[keep_random(40, count=10, seed=seed)] += 1
    # Each position is kept with probability 1/4: 500 of 2000, standard deviation 19.4.
    assert abs(hits - 500).max() < 5 * 19.4


SCORES = np.array([0.5, 0.1, 0.9])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: keep_hardest([0.1, float("nan"), 0.2], count=1), r"NaN; 1 of 3 are, at positions 1\. Hint"),
        (lambda: keep_hardest(np.full(9, np.nan), count=1), "0, 1, 2, 3, 4 and 4 more"),
        (
            lambda: keep_hardest(np.zeros((10, 3)), count=1),
            r"shape \(n,\).*\(10, 3\)\. Hint: .*mean_over_seeds",
        ),
        (lambda: keep_hardest([], count=0), r"n at least 1.*got \(0,\)"),
        (lambda: keep_hardest(["a", "b"], count=1), "real numbers"),
        (lambda: keep_hardest([True, False], count=1), "real numbers; got dtype bool"),
        (lambda: keep_hardest(SCORES), "exactly one of `fraction` and `count`"),
        (lambda: keep_hardest(SCORES, count=4), "from 0 to the number of examples, 3; got 4"),
        (lambda: keep_easiest(SCORES, fraction=1.5), "from 0 to 1; got 1.5"),
        (lambda: keep_window(SCORES, offset=2, count=2), r"2 \+ 2 = 4\. Hint: .*at most 1 can be kept"),
        (lambda: keep_window(SCORES, offset=0.5, fraction=0.9), r"2 \+ 3 = 5"),
        (lambda: keep_window(SCORES, offset=-1, count=1), "got -1"),
        (lambda: keep_window(SCORES, offset=1.0, count=1), r"a float in \[0, 1\)\); got 1\.0"),
        (lambda: keep_window(SCORES, offset=float("nan"), count=1), "got nan"),
        (lambda: keep_window(SCORES, offset=True, count=1), "got True"),
        (lambda: keep_window(SCORES, offset="1", count=1), "got '1'"),
        (
            lambda: keep_hardest(SCORES, count=1, labels=[0, 1]),
            r"`labels` must have shape \(3,\).*got \(2,\)",
        ),
        (lambda: keep_hardest(SCORES, count=1, labels=np.eye(3)), r"Hint: .*argmax"),
        (
            lambda: keep_hardest(SCORES, count=1, labels=[0.0, 1.0, 2.0]),
            "integers or strings; got dtype float64",
        ),
        (lambda: keep_hardest(SCORES, count=1, labels=np.array(["a", None, "b"])), "got dtype object"),
        (lambda: keep_hardest(SCORES, count=1, ids=[1, 2]), r"`ids` must have shape \(3,\).*got \(2,\)"),
        (lambda: keep_hardest(SCORES, count=1, ids=[7, 2, 7]), "7 occur more than once"),
        (lambda: keep_hardest(SCORES, count=1, ids=[0.5, 1.5, 2.5]), "`ids` must be integers or strings"),
        (lambda: keep_random(0, count=0, seed=0), "at least 1; got 0"),
        (lambda: keep_random(10.0, count=1, seed=0), "got 10.0"),
        (lambda: keep_random(10, count=1, seed=-1), "0 or more; got -1"),
        (lambda: keep_random(10, count=1, seed=None), "got None"),
        (lambda: keep_random(3, count=1, seed=0, labels=[0, 1]), r"must have shape \(3,\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(PruneKitError, match=message):
        call()
