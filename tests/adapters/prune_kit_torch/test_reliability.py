"""The estimate of reliability against seeds that were actually trained."""

import numpy as np
import pytest
from scipy import stats

import prune_kit_torch as pkt
from prune_kit import half_overlap, keep_hardest, reliability, seeds_needed
from prune_kit.data import load_examples


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """EL2N of 12 seeds of the digits after two epochs, where they agree by about a half."""
    digits = load_examples("digits")
    run = pkt.train_seeds(
        pkt.built_in_model("small-cnn", digits),
        digits,
        seeds=12,
        epochs=2,
        run=tmp_path_factory.mktemp("runs") / "run",
    )
    return np.stack([table["el2n"] for _, table in run.read_parts(2)]).astype(np.float64)


def correlation(one, other):
    return stats.spearmanr(one.mean(axis=0), other.mean(axis=0)).statistic


@pytest.mark.parametrize("seeds", [2, 3, 6])
def test_it_is_the_agreement_with_as_many_seeds_more(scores, seeds):
    """On average over ways to take two groups: single groups of trained seeds differ by about .1."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(12) for _ in range(30)]
    said = np.mean([reliability(scores[order[:seeds]]) for order in orders])
    found = np.mean([correlation(scores[o[:seeds]], scores[o[seeds : 2 * seeds]]) for o in orders])
    assert said == pytest.approx(found, abs=0.05)


def test_as_many_seeds_as_it_says_agree_as_said(scores):
    needed = seeds_needed(scores, target=0.8)
    assert 2 <= needed <= 6
    rng = np.random.default_rng(1)
    orders = [rng.permutation(12) for _ in range(30)]
    found = [correlation(scores[o[:needed]], scores[o[needed : 2 * needed]]) for o in orders]
    assert np.mean(found) == pytest.approx(0.8, abs=0.1)
    assert np.mean(found) > 0.78


def test_halves_of_twelve_share_what_six_and_six_others_share(scores):
    kept = [set(keep_hardest(half.mean(axis=0), fraction=0.5).tolist()) for half in (scores[:6], scores[6:])]
    assert half_overlap(scores) == pytest.approx(len(kept[0] & kept[1]) / len(kept[0]), abs=0.05)
