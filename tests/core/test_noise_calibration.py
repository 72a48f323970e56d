"""Calibrated models are checked against Bayes' rule and slopes written out, and on noise that is planted."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from prune_kit import _noise_calibration as calibration
from prune_kit._noise_calibration import CalibratedModel, fit_mixed, fit_scaled
from prune_kit._noise_links import LIKELIEST, Mixing, Scaling
from prune_kit._noise_transition import best_concentration


def softmax(logits):
    exps = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("weights", [np.asarray(1.7), np.array([[2.0, 0.3, 0], [-1, 1, 0.2], [0, 0.5, 3]])])
def test_posterior_and_likelihood_are_bayes_rule(weights):
    rng = np.random.default_rng(0)
    model = CalibratedModel(weights, rng.standard_normal(3), rng.dirichlet(np.ones(3), 3))
    log_q, labels = np.log(rng.dirichlet(np.ones(3), 20)), rng.integers(0, 3, 20)
    posterior, likelihood = model.posterior(log_q, labels), model.log_likelihood(log_q, labels)
    matrix = weights if weights.ndim else weights * np.eye(3)
    for i, (row, label) in enumerate(zip(log_q, labels, strict=True)):
        clean = [np.exp(sum(row[j] * matrix[j, k] for j in range(3)) + model.shift[k]) for k in range(3)]
        joint = [clean[k] / sum(clean) * model.transition[k, label] for k in range(3)]
        np.testing.assert_allclose(posterior[i], np.array(joint) / sum(joint), rtol=1e-12)
        assert likelihood[i] == pytest.approx(np.log(sum(joint)), rel=1e-12)


@pytest.mark.parametrize(("link", "c"), [(Scaling, 3), (Scaling, LIKELIEST + 5), (Mixing, 3)])
def test_gradients_are_slopes(link, c):
    rng = np.random.default_rng(1)
    log_q, labels = np.log(rng.dirichlet(np.ones(c), 12)), rng.integers(0, c, 12)
    of = link(log_q, labels)
    by_logit = rng.standard_normal(of.cells.shape)
    parameters = rng.standard_normal(len(of.bounds))

    def value(at):
        return (of.logits(at) * by_logit).sum() + of.penalty(at)[0]

    def gradient(at):
        return of.gradient(by_logit) + of.penalty(at)[1]

    assert check_grad(value, gradient, parameters) < 1e-4


def test_cells_are_those_of_true_and_given_class():
    log_q = np.log(np.random.default_rng(0).dirichlet(np.ones(3), 4))
    transition, labels = np.arange(9.0).reshape(3, 3), np.array([2, 0, 1, 1])
    for link in (Scaling(log_q, labels), Mixing(log_q, labels)):
        np.testing.assert_array_equal(transition.ravel()[link.cells], transition[:, labels].T)


def test_candidates_are_the_label_and_the_likeliest_classes():
    rng = np.random.default_rng(2)
    c = LIKELIEST + 30
    log_q, labels = np.log(rng.dirichlet(np.ones(c), 40)), rng.integers(0, c, 40)
    candidates = Scaling(log_q, labels).cells // c
    for row, label, found in zip(log_q, labels, candidates, strict=True):
        others = [k for k in np.argsort(-row) if k != label][: LIKELIEST - 1]
        assert sorted(found) == sorted([label, *others])


def test_that_few_classes_are_candidates_changes_little(monkeypatch):
    rng = np.random.default_rng(3)
    c, n = 60, 4000
    true = rng.integers(0, c, n)
    given = np.where(rng.random(n) < 0.1, rng.integers(0, c, n), true)
    log_q = np.log(softmax(rng.standard_normal((n, c)) + 5 * np.eye(c)[true]))
    some = fit_scaled(log_q, given)
    monkeypatch.setattr("prune_kit._noise_links.LIKELIEST", c)
    whole = fit_scaled(log_q, given)
    wrong = [1 - model.posterior(log_q, given)[np.arange(n), given] for model in (some, whole)]
    assert np.abs(wrong[0] - wrong[1]).mean() < 0.002


def test_classes_that_are_taken_for_one_another_are_no_noise_where_they_are_mixed(confused):
    log_q, true, given = confused(0.15)
    wrong = given != true
    mixed, scaled = fit_mixed(log_q, given), fit_scaled(log_q, given)
    assert mixed.log_likelihood(log_q, given).mean() > scaled.log_likelihood(log_q, given).mean() + 0.01
    off = [1 - np.diag(model.transition).mean() for model in (mixed, scaled)]
    assert off[0] == pytest.approx(0.15, abs=0.04)
    # Undone is what the network mixes: the clean logits are log_q @ W.
    undone = np.linalg.inv(0.5 * (np.eye(4) + 0.7 * np.roll(np.eye(4), 1, axis=1)))
    found = mixed.weights - mixed.weights.mean(axis=1, keepdims=True)
    assert np.corrcoef(found.ravel(), (undone - undone.mean(axis=1, keepdims=True)).ravel())[0, 1] > 0.9
    precision = []
    for model in (mixed, scaled):
        probability = 1 - model.posterior(log_q, given)[np.arange(len(given)), given]
        first = np.argsort(-probability)[: wrong.sum()]
        precision.append(wrong[first].mean())
    assert precision[0] > precision[1]


def test_the_fit_raises_the_objective(confused, monkeypatch):
    """Every round of either model ends at least as high as it began, under the same transition matrix."""
    reached = []
    climb = calibration._climb

    def watched(link, sharpness, parameters, transition):
        monkeypatch.setattr(calibration, "_STEPS", 0)
        _, before = climb(link, sharpness, parameters, transition)
        monkeypatch.setattr(calibration, "_STEPS", 20)
        parameters, after = climb(link, sharpness, parameters, transition)
        reached.append(after - before)
        return parameters, after

    monkeypatch.setattr(calibration, "_climb", watched)
    log_q, _, given = confused(0.1, n=500)
    fit_mixed(log_q, given)
    assert len(reached) > 4
    assert min(reached) >= 0


def test_concentrations_are_told_apart_whether_cells_are_empty_or_not():
    even = np.full((30, 30), 4.0)
    in_pairs = np.where(np.roll(np.eye(30, dtype=bool), 1, axis=1), 100.0, 0.0)
    assert best_concentration(even) > 10
    assert best_concentration(in_pairs) < 1
