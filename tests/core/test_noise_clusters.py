"""The cluster model is checked against densities written out with SciPy, and on clusters that are planted."""

import numpy as np
import pytest
from scipy.stats import multivariate_t

from prune_kit import flag_noise
from prune_kit._noise_clusters import ClusterModel, _axes, fit_clusters


def f1(flags, wrong):
    return 2 * (flags & wrong).sum() / (flags.sum() + wrong.sum())


def test_axes_are_orthonormal_and_leave_out_the_constant():
    for c in (2, 3, 10):
        axes = _axes(c)
        np.testing.assert_allclose(axes.T @ axes, np.eye(c - 1), atol=1e-12)
        np.testing.assert_allclose(axes.sum(axis=0), 0, atol=1e-12)


def test_posterior_and_likelihood_are_bayes_rule_with_t_densities():
    rng = np.random.default_rng(1)
    c = 3
    log_q = np.log(rng.dirichlet(np.ones(c), 25))
    labels = rng.integers(0, c, 25)
    factors = rng.standard_normal((c, 2, 2)) / 2
    covariances = factors @ factors.transpose(0, 2, 1) + 0.3 * np.eye(2)
    weights, means = rng.dirichlet(np.ones(c)), rng.standard_normal((c, 2))
    transition, lean = rng.dirichlet(np.ones(c), c), 0.2
    whitening = np.linalg.inv(np.linalg.cholesky(covariances))
    model = ClusterModel(np.log(weights), means, whitening, lean, transition)

    def joint(row, label):
        at = row @ _axes(c) - lean * _axes(c)[label]
        return np.array(
            [
                weights[k] * multivariate_t.pdf(at, means[k], covariances[k], df=3) * transition[k, label]
                for k in range(c)
            ]
        )

    expected = [joint(row, label) for row, label in zip(log_q, labels, strict=True)]
    found = model.posterior(log_q, labels)
    np.testing.assert_allclose(found, [each / each.sum() for each in expected], rtol=1e-9)
    all_labels = [sum(joint(row, label).sum() for label in range(c)) for row in log_q]
    likelihood = [np.log(e.sum() / a) for e, a in zip(expected, all_labels, strict=True)]
    np.testing.assert_allclose(model.log_likelihood(log_q, labels), likelihood, rtol=1e-9)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.2, 0.4])
def test_noise_between_neighbours_is_found_at_any_rate_where_classes_are_clusters(clusters, rate):
    log_q, given, true = clusters(rate)
    wrong = given != true
    found = flag_noise(log_q, given)
    assert f1(found.flags, wrong) > 0.95
    assert found.count == pytest.approx(wrong.sum(), rel=0.05)
    assert (found.suggested[wrong] == true[wrong]).mean() > 0.98


def test_a_lean_towards_the_label_is_measured(clusters):
    log_q, given, _ = clusters(0.3, lean=0.25)
    model = fit_clusters(log_q, given)
    # The logits' lean; as coordinates of centred logarithms it is the same.
    assert model.lean == pytest.approx(0.25, abs=0.05)
    np.testing.assert_allclose(np.diag(model.transition), 0.7, atol=0.05)


def test_unusual_examples_are_no_wrong_labels(clusters):
    log_q, given, true = clusters(0.05)
    rng = np.random.default_rng(2)
    odd = rng.choice(len(given), 60, replace=False)
    odd = odd[given[odd] == true[odd]]
    log_q[odd] += 3 * np.eye(4)[given[odd]] + rng.standard_normal((len(odd), 4))
    log_q -= np.log(np.exp(log_q).sum(axis=1, keepdims=True))
    found = flag_noise(log_q, given)
    assert f1(found.flags, given != true) > 0.95
    assert found.flags[odd].mean() < 0.05


def test_the_overlap_is_the_entropy_of_memberships(clusters):
    log_q, given, _ = clusters(0.2)
    model = fit_clusters(log_q, given)
    assert model.overlap(log_q) < 0.01
    # Which of two clusters at one place an example is in, is a toss-up.
    rng = np.random.default_rng(0)
    log_q = np.log(rng.dirichlet(np.ones(2), 50))
    half = np.log([0.5, 0.5])
    same = ClusterModel(half, np.zeros((2, 1)), np.ones((2, 1, 1)), 0.1, np.eye(2))
    assert same.overlap(log_q) == pytest.approx(np.log(2), rel=1e-9)


def test_a_class_that_is_never_predicted_or_given_does_no_harm(clusters):
    log_q, given, true = clusters(0.1, c=4)
    wide = np.concatenate([log_q, np.full((len(log_q), 1), -9.0)], axis=1)
    found = flag_noise(wide, given)
    assert f1(found.flags, given != true) > 0.95
    assert (found.suggested[given != true] < 4).all()
