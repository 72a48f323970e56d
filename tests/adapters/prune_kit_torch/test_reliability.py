"""The estimate of reliability against seeds that were actually trained."""

import numpy as np
import pytest
from scipy import stats

import prune_kit_torch as pkt
from prune_kit import Recipe, half_overlap, keep_hardest, reliability, seeds_needed
from prune_kit.data import load_examples


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """EL2N of 12 seeds of the digits after three epochs, where two of them agree by about .77."""
    digits = load_examples("digits")
    run = pkt.train_seeds(
        pkt.built_in_model("small-cnn", digits),
        digits,
        seeds=12,
        epochs=3,
        recipe=Recipe(learning_rate=0.05),
        run=tmp_path_factory.mktemp("runs") / "run",
    )
    return np.stack([table["el2n"] for _, table in run.read_parts(3)]).astype(np.float64)


def agreement_of_groups(scores, seeds):
    """Mean correlation of the means of two groups of seeds, and mean reliability of the first group."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(12) for _ in range(30)]
    groups = [(scores[order[:seeds]], scores[order[seeds : 2 * seeds]]) for order in orders]
    found = [stats.spearmanr(one.mean(axis=0), other.mean(axis=0)).statistic for one, other in groups]
    return np.mean(found), np.mean([reliability(one) for one, _ in groups])


@pytest.mark.parametrize("seeds", [2, 3, 6])
def test_it_is_the_agreement_with_as_many_seeds_more(scores, seeds):
    found, said = agreement_of_groups(stats.rankdata(scores, axis=1), seeds)
    assert said == pytest.approx(found, abs=0.02)
    # EL2N is skewed: seeds with larger scores weigh more in its mean.
    found, said = agreement_of_groups(scores, seeds)
    assert found - 0.01 < said < found + 0.07


def test_as_many_seeds_as_it_says_agree_as_said(scores):
    ranks = stats.rankdata(scores, axis=1)
    needed = seeds_needed(scores, target=0.9)
    assert 2 <= needed <= 6
    assert agreement_of_groups(ranks, needed)[0] > 0.89
    assert agreement_of_groups(ranks, needed - 1)[0] < 0.91


def test_halves_of_twelve_share_what_six_and_six_others_share(scores):
    kept = [set(keep_hardest(half.mean(axis=0), fraction=0.5).tolist()) for half in (scores[:6], scores[6:])]
    assert half_overlap(scores) == pytest.approx(len(kept[0] & kept[1]) / len(kept[0]), abs=0.05)
