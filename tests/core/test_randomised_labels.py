import array_api_strict
import jax.numpy
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prune_kit.errors import PruneKitError
from prune_kit.randomised_labels import randomise_labels

TEN = np.random.default_rng(0).integers(0, 10, 20_000)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.data())
def test_labels_are_shuffled_among_the_chosen_alone(labels, data):
    count = data.draw(st.integers(0, len(labels)))
    given_labels = np.array(labels)
    new, positions = randomise_labels(given_labels, count=count, seed=data.draw(st.integers(0, 1000)))
    assert given_labels.tolist() == labels
    assert positions.dtype == np.int64
    assert positions.tolist() == sorted(set(positions.tolist()))
    assert len(positions) == count
    others = [i for i in range(len(labels)) if i not in positions.tolist()]
    assert [new[i] for i in others] == [labels[i] for i in others]
    assert sorted(new[positions].tolist()) == sorted(labels[i] for i in positions)


def test_of_ten_classes_nine_tenths_change():
    new, positions = randomise_labels(TEN, fraction=0.5, seed=1)
    assert len(positions) == 10_000
    # The share that changes has mean 1 - sum p^2 = 0.9 and standard deviation 0.003.
    assert abs((new[positions] != TEN[positions]).mean() - 0.9) < 0.015
    # Where a label comes from does not depend on what it was.
    joint = np.bincount(10 * TEN[positions] + new[positions], minlength=100)
    assert abs(joint - 100).max() < 60


def test_every_shuffle_is_as_likely():
    labels, times = np.arange(3), {}
    for seed in range(1200):
        new = tuple(randomise_labels(labels, count=3, seed=seed)[0].tolist())
        times[new] = times.get(new, 0) + 1
    # 6 orders, 200 expected of each, standard deviation 13.
    assert len(times) == 6
    assert all(abs(each - 200) < 65 for each in times.values())


def test_who_is_chosen_is_uniform_and_nested():
    times = np.zeros(20)
    for seed in range(2000):
        few, many = (set(randomise_labels(TEN[:20], count=k, seed=seed)[1].tolist()) for k in (5, 12))
        assert few < many
        times[list(few)] += 1
    # 500 expected, standard deviation 19.4.
    assert abs(times - 500).max() < 5 * 19.4


def test_the_seed_decides():
    first, again, other = (randomise_labels(TEN, fraction=0.1, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])
    assert len(randomise_labels(TEN, fraction=0.0, seed=0)[1]) == 0


@pytest.mark.parametrize(
    "asarray",
    [torch.asarray, jax.numpy.asarray, array_api_strict.asarray],
    ids=["torch", "jax", "array-api-strict"],
)
def test_the_same_labels_in_every_library(asarray):
    labels = TEN[:500].astype(np.int32)
    expected = randomise_labels(labels, count=100, seed=3)
    found = randomise_labels(asarray(labels), count=100, seed=3)
    for mine, numpys in zip(found, expected, strict=True):
        assert type(mine) is type(asarray(labels))
        np.testing.assert_array_equal(np.asarray(mine), numpys)
    assert "int32" in str(found[0].dtype)


def test_names_of_classes():
    labels = np.array(["cat", "dog", "horse", "cat"])
    new, positions = randomise_labels(labels, count=4, seed=0)
    assert sorted(new.tolist()) == sorted(labels.tolist())
    assert new.dtype == labels.dtype
    assert positions.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("labels", "options", "said"),
    [
        (TEN, {}, "exactly one of `fraction` and `count`"),
        (TEN, {"fraction": 1.5}, "from 0 to 1; got 1.5"),
        (TEN, {"count": -1}, "got -1"),
        (TEN, {"count": 1, "seed": -1}, "`seed` must be a whole number"),
        (np.eye(3), {"count": 1}, r"`labels` must have shape \(n,\).*argmax"),
        (np.zeros(3), {"count": 1}, "integers or strings; got dtype float64"),
        ([], {"count": 0}, "`labels` must have shape"),
    ],
)
def test_what_does_not_fit_is_refused(labels, options, said):
    with pytest.raises(PruneKitError, match=said):
        randomise_labels(labels, **{"seed": 0, **options})
