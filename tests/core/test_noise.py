"""Flags are checked on labels that were planted wrong, the posterior against Bayes' rule written out."""

import itertools
from pathlib import Path

import array_api_strict
import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from prune_kit import flag_highest, flag_noise, keep_hardest
from prune_kit._label_noise import fit
from prune_kit.errors import PruneKitError


def softmax(logits):
    exps = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


def planted(kind, rate, *, n=3000, c=5, seeds=1, strength=2.0, sizes=None, seed=0):
    """Logits of a network that learnt classes as far as they can be told apart, and labels of which some lie.

    What an example shows is drawn from a mixture, so that its clean class probabilities are known exactly;
    the network's are these after the noise, for it was trained on the given labels, with some error of each
    seed.
    """
    rng = np.random.default_rng(seed)
    true = rng.choice(c, n, p=sizes)
    evidence = strength * (np.eye(c)[true] + rng.standard_normal((n, c)) / np.sqrt(strength) / 1.5)
    clean = softmax(2 * evidence)
    transition = np.eye(c)
    if kind == "uniform":
        transition = (1 - rate) * np.eye(c) + rate / (c - 1) * (1 - np.eye(c))
    elif kind == "pair":
        transition = (1 - rate) * np.eye(c) + rate * np.roll(np.eye(c), 1, axis=1)
    elif kind == "class":
        rates = np.linspace(0, 2 * rate, c)
        spread = 0.7 * np.roll(np.eye(c), 1, axis=1) + 0.3 * np.roll(np.eye(c), 2, axis=1)
        transition = np.diag(1 - rates) + rates[:, None] * spread
    given = np.array([rng.choice(c, p=transition[k]) for k in true])
    log_q = np.log(clean @ transition)
    logits = log_q + 0.2 * rng.standard_normal((seeds, n, c))
    return logits if seeds > 1 else logits[0], given, true


def f1(flags, wrong):
    return 2 * (flags & wrong).sum() / (flags.sum() + wrong.sum())


@pytest.mark.parametrize("kind", ["uniform", "pair", "class"])
@pytest.mark.parametrize("rate", [0.02, 0.1, 0.2])
def test_planted_labels_are_found_counted_and_mended(kind, rate):
    logits, given, true = planted(kind, rate, strength=4.0)
    wrong = given != true
    found = flag_noise(logits, given)
    # Of noise between pairs, some is taken for classes that are hard to tell apart, most so if it is rare.
    assert f1(found.flags, wrong) > (0.75 if rate == 0.02 else 0.88)
    assert found.count == pytest.approx(wrong.sum(), rel=0.2 if kind == "uniform" else 0.5)
    assert (found.suggested[wrong] == true[wrong]).mean() > 0.9


def test_the_joint_is_the_confusion_of_true_and_given_labels():
    logits, given, true = planted("class", 0.15, n=8000, strength=4.0)
    found = flag_noise(logits, given)
    actual = np.zeros((5, 5))
    np.add.at(actual, (true, given), 1)
    np.testing.assert_allclose(found.joint.sum(), 8000, rtol=1e-5)
    np.testing.assert_allclose(found.joint.sum(axis=0), np.bincount(given), rtol=1e-5)
    assert found.joint.sum() - np.trace(found.joint) == pytest.approx(found.count, rel=1e-4)
    assert np.abs(found.joint - actual).max() < 90


def reliability_diagram(probability, wrong):
    """Share of the examples, mean probability and share of wrong labels in each bin."""
    edges = [0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0001]
    for low, high in itertools.pairwise(edges):
        inside = (probability >= low) & (probability < high)
        if inside.sum() > 50:
            yield inside.mean(), probability[inside].mean(), wrong[inside].mean()


@pytest.mark.parametrize(("kind", "gap"), [("uniform", 0.025), ("class", 0.05), ("pair", 0.09)])
def test_the_probabilities_are_calibrated(kind, gap):
    logits, given, true = planted(kind, 0.15, n=20000, strength=3.0)
    bins = list(reliability_diagram(flag_noise(logits, given).probability, given != true))
    assert len(bins) >= 4
    assert sum(share * abs(said - found) for share, said, found in bins) < gap
    said = [each[1] for each in bins]
    assert np.corrcoef(said, [each[2] for each in bins])[0, 1] > 0.9


SAVED = Path(__file__).parents[3] / "shared/data/saved_logits/cifar10_uniform10.npz"


@pytest.mark.skipif(not SAVED.exists(), reason="the saved logits of CIFAR-10 are not at hand")
def test_real_networks_show_wrong_labels_of_cifar10():
    """The bar is cleanlab 2.9.0 on the same mean probabilities: F1 .593 in its best mode, precision .787."""
    saved = np.load(SAVED)
    wrong = saved["is_noisy"]
    found = flag_noise(saved["logits"], saved["labels"])
    assert f1(found.flags, wrong) > 0.7
    assert average_precision_score(wrong, found.probability) > 0.8
    bins = list(reliability_diagram(found.probability, wrong))
    assert sum(share * abs(said - found_wrong) for share, said, found_wrong in bins) < 0.035


def test_clean_labels_get_few_flags():
    logits, given, true = planted("none", 0.0, strength=4.0)
    assert (given == true).all()
    found = flag_noise(logits, given)
    assert found.flags.mean() < 0.01
    assert found.count < 0.015 * len(given)


def test_several_seeds_find_more_than_one():
    logits, given, true = planted("uniform", 0.1, seeds=8, strength=2.0)
    logits = logits + np.random.default_rng(1).standard_normal(logits.shape)
    wrong = given != true
    one, all_of_them = flag_noise(logits[0], given), flag_noise(logits, given)
    assert f1(all_of_them.flags, wrong) > f1(one.flags, wrong) + 0.02


def test_seeds_are_averaged_as_probabilities():
    logits, given, _ = planted("uniform", 0.1, seeds=3, n=500)
    expected = flag_noise(softmax(logits).mean(axis=0), given, from_logits=False)
    found = flag_noise(logits, given)
    np.testing.assert_allclose(found.probability, expected.probability, atol=1e-9)
    apart = flag_noise(softmax(logits), given, from_logits=False)
    np.testing.assert_allclose(apart.probability, expected.probability, atol=1e-9)


def test_the_transition_matrix_is_recovered():
    logits, given, _ = planted("class", 0.15, n=8000, strength=4.0)
    model = fit(np.log(softmax(logits)), given)
    np.testing.assert_allclose(model.transition.sum(axis=1), 1, rtol=1e-12)
    rates = np.linspace(0, 0.3, 5)
    np.testing.assert_allclose(1 - np.diag(model.transition), rates, atol=0.05)


@pytest.mark.parametrize(
    ("c", "n", "strength"),
    [(2, 4000, 6.0), (40, 4000, 6.0), pytest.param(1000, 2000, 9.0, marks=pytest.mark.slow)],
)
def test_two_classes_and_many(c, n, strength):
    logits, given, true = planted("uniform", 0.1, c=c, n=n, strength=strength)
    assert f1(flag_noise(logits, given).flags, given != true) > 0.8


def test_rare_classes_are_not_flagged_away():
    """1 to 100 examples: the small class is as trustworthy as the large ones."""
    sizes = np.array([0.5, 0.3, 0.15, 0.045, 0.005])
    logits, given, true = planted("uniform", 0.05, n=6000, sizes=sizes, strength=4.0)
    found = flag_noise(logits, given)
    right_and_rare = (given == true) & (true == 4)
    assert right_and_rare.sum() > 10
    assert found.flags[right_and_rare].mean() < 0.3
    assert f1(found.flags, given != true) > 0.7


def test_a_class_without_labels_and_one_without_predictions():
    logits, given, _ = planted("uniform", 0.1, n=600)
    wide = np.concatenate([logits, np.full((600, 1), -50.0)], axis=1)
    found = flag_noise(wide, given)
    assert np.isfinite(found.probability).all()
    assert found.joint.shape == (6, 6)
    never_right = np.zeros(600, np.int64)
    assert np.isfinite(flag_noise(logits, never_right).probability).all()


@pytest.mark.parametrize("library", [torch.asarray, array_api_strict.asarray])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_library_gives_the_same(library, dtype):
    logits, given, _ = planted("pair", 0.1, n=400)
    logits = logits.astype(dtype)
    expected = flag_noise(logits, given)
    found = flag_noise(library(logits), library(given))
    for name in ("flags", "probability", "suggested", "joint"):
        assert type(getattr(found, name)) is type(library(logits))
        np.testing.assert_array_equal(np.asarray(getattr(found, name)), getattr(expected, name))
    assert str(expected.probability.dtype) == dtype
    assert found.count == expected.count


def test_it_is_the_same_every_time():
    logits, given, _ = planted("uniform", 0.1, n=400)
    first, second = flag_noise(logits, given), flag_noise(logits, given)
    assert first.probability.tobytes() == second.probability.tobytes()
    assert repr(first).startswith("NoiseFlags(")


def test_the_number_of_flags_maximises_the_expected_f1():
    logits, given, _ = planted("uniform", 0.15, n=800)
    found = flag_noise(logits.astype(np.float64), given)
    ranked = np.sort(found.probability)[::-1]
    expected = [2 * ranked[:k].sum() / (k + ranked.sum()) for k in range(1, len(ranked) + 1)]
    assert found.flags.sum() == np.argmax(expected) + 1
    assert found.probability[found.flags].min() >= found.probability[~found.flags].max()


@pytest.mark.parametrize(
    ("logits", "labels", "options", "said"),
    [
        (np.zeros((3, 1)), [0, 0, 0], {}, "at least 2 classes"),
        (np.zeros((0, 3, 2)), [0, 0, 0], {}, "at least one seed"),
        (np.zeros((3, 2)), [0, 1], {}, "one per row"),
        (np.zeros((3, 2)), [0, 1, 2], {}, "must lie in 0 ... 1"),
        (np.zeros((3, 2)), np.eye(2)[[0, 1, 0]], {}, "not right or wrong"),
        (np.array([[0.0, np.nan], [1, 2]]), [0, 1], {}, "must be finite"),
        (np.ones((3, 2)), [0, 1, 1], {"from_logits": False}, "sum to 1"),
        (np.zeros(3), [0, 1, 1], {}, "shape"),
    ],
)
def test_what_does_not_fit_is_refused(logits, labels, options, said):
    with pytest.raises(PruneKitError, match=said):
        flag_noise(logits, np.asarray(labels), **options)


def test_seeds_that_differ_in_a_value_are_all_checked():
    logits = np.zeros((2, 3, 2))
    logits[1, 2, 0] = np.inf
    with pytest.raises(PruneKitError, match="infinity in row 2"):
        flag_noise(logits, np.array([0, 1, 0]))


def test_the_highest_scores_are_flagged():
    scores = np.array([0.5, 0.9, 0.5, np.inf, 0.1])
    assert flag_highest(scores, count=2).tolist() == [False, True, False, True, False]
    for count in range(6):
        flags = flag_highest(scores, count=count)
        assert np.flatnonzero(flags).tolist() == keep_hardest(scores, count=count).tolist()
    flags = flag_highest(torch.tensor(scores), fraction=0.4)
    assert flags.dtype == torch.bool
    assert flags.sum() == 2


def test_a_fit_to_some_of_the_examples_holds_for_all(monkeypatch):
    logits, given, true = planted("class", 0.15, n=8000, strength=4.0)
    whole = flag_noise(logits, given)
    monkeypatch.setattr("prune_kit._noise_calibration._MOST_ENTRIES", 2000 * 5)
    monkeypatch.setattr("prune_kit._noise_clusters._MOST_EXAMPLES", 2000)
    some = flag_noise(logits, given)
    assert not np.array_equal(some.probability, whole.probability)
    assert some.count == pytest.approx(whole.count, rel=0.1)
    assert f1(some.flags, given != true) > f1(whole.flags, given != true) - 0.02
