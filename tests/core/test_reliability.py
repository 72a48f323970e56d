import array_api_strict
import numpy as np
import pytest
import torch

from prune_kit.errors import PruneKitError
from prune_kit.reliability import half_overlap, mean_rank_agreement, reliability, seeds_needed


def noisy(seeds, n=4000, noise=1.0, seed=0):
    """True scores, and rows of them with noise: any two correlate by 1 / (1 + noise**2)."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=n)
    return true, true + noise * rng.normal(size=(seeds, n))


def pearson_of_means(first, second):
    return np.corrcoef(first.mean(axis=0), second.mean(axis=0))[0, 1]


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("seeds", [2, 5, 10])
def test_it_is_the_agreement_with_as_many_other_seeds(noise, seeds):
    _, rows = noisy(2 * seeds, noise=noise)
    assert reliability(rows[:seeds]) == pytest.approx(pearson_of_means(rows[:seeds], rows[seeds:]), abs=0.03)


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_its_root_is_the_agreement_with_the_true_scores(noise):
    true, rows = noisy(6, noise=noise)
    assert np.sqrt(reliability(rows)) == pytest.approx(np.corrcoef(true, rows.mean(axis=0))[0, 1], abs=0.02)


@pytest.mark.parametrize("noise", [0.7, 1.5])
def test_as_many_seeds_as_it_says_reach_the_target_and_half_of_them_do_not(noise):
    few = noisy(4, noise=noise)[1]
    needed = seeds_needed(few, target=0.9)
    rows = noisy(2 * needed, noise=noise, seed=1)[1]
    assert pearson_of_means(rows[:needed], rows[needed:]) > 0.88
    assert pearson_of_means(rows[: needed // 2], rows[needed : needed + needed // 2]) < 0.88


def test_two_seeds_by_hand():
    rows = np.array([[1.0, 2, 3, 4], [1, 3, 2, 4]])
    assert mean_rank_agreement(rows) == pytest.approx(0.8)
    assert reliability(rows) == pytest.approx(2 * 0.8 / 1.8)
    # 8/9 is what two seeds give: the estimate of how many give it must not be three.
    assert seeds_needed(rows, target=2 * 0.8 / 1.8) == 2
    assert seeds_needed(rows, target=0.5) == 1


def test_seeds_that_agree_fully_or_not_at_all():
    same = np.tile(np.arange(5.0), (3, 1))
    assert reliability(same) == 1.0
    assert seeds_needed(same) == 1
    opposite = np.stack([np.arange(5.0), -np.arange(5.0)])
    assert reliability(opposite) == 0.0
    with pytest.raises(PruneKitError, match="more than by chance; their mean rank agreement is -1.000"):
        seeds_needed(opposite)


def test_a_seed_without_any_order_has_no_agreement():
    rows = np.stack([np.arange(5.0), np.zeros(5)])
    assert np.isnan(reliability(rows))
    with pytest.raises(PruneKitError, match="agreement is nan"):
        seeds_needed(rows)


@pytest.mark.parametrize("library", [torch.asarray, array_api_strict.asarray])
def test_every_library_gives_the_same(library):
    rows = noisy(3, n=50)[1]
    assert reliability(library(rows)) == pytest.approx(reliability(rows), rel=1e-12)
    assert seeds_needed(library(rows)) == seeds_needed(rows)


def test_one_seed_says_nothing():
    with pytest.raises(PruneKitError, match="needs two or more; got one"):
        reliability(np.ones((1, 4)))


@pytest.mark.parametrize("target", [0, 1, -0.5, 1.5, float("nan"), "much", True])
def test_the_target_is_between_0_and_1(target):
    with pytest.raises(PruneKitError, match="`target` must be"):
        seeds_needed(np.array([[1.0, 2, 3], [1, 2, 3]]), target=target)


def test_halves_of_two_seeds_are_the_seeds():
    rows = np.array([[1.0, 2, 3, 4, 5, 6], [6, 2, 3, 1, 5, 4]])
    # The hardest three: 3, 4, 5 and 0, 4, 5.
    assert half_overlap(rows) == pytest.approx(2 / 3)
    assert half_overlap(rows, fraction=1.0) == 1.0


def test_all_splits_of_four_seeds_by_hand():
    rows = noisy(4, n=40)[1]

    def hardest(seeds):
        return set(np.argsort(rows[list(seeds)].mean(axis=0), kind="stable")[-10:])

    splits = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    expected = np.mean([len(hardest(a) & hardest(b)) / 10 for a, b in splits])
    assert half_overlap(rows, fraction=0.25) == pytest.approx(expected)


def test_more_seeds_keep_more_of_the_same():
    few, many = (half_overlap(noisy(seeds, noise=1.5)[1]) for seeds in (2, 16))
    assert 0.5 < few < many - 0.1 < 0.9
    assert half_overlap(noisy(16)[1]) == half_overlap(noisy(16)[1])


def test_chance_gives_the_fraction():
    rows = np.random.default_rng(0).random((8, 5000))
    assert half_overlap(rows, fraction=0.3) == pytest.approx(0.3, abs=0.02)


def test_halves_need_two_seeds_and_something_kept():
    with pytest.raises(PruneKitError, match="two seeds or more; got one"):
        half_overlap(np.ones((1, 4)))
    with pytest.raises(PruneKitError, match="must keep at least one example"):
        half_overlap(np.ones((2, 4)), fraction=0.1)
