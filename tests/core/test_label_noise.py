"""The model of label noise that is believed is the right one of three, on data that were drawn from each."""

import numpy as np
import pytest

from prune_kit import _label_noise
from prune_kit._label_noise import LEAST_EXAMPLES_PER_CLASS, MOST_CLASSES, fit, held_out
from prune_kit._noise_calibration import CalibratedModel, fit_mixed, fit_scaled
from prune_kit._noise_clusters import ClusterModel, fit_clusters


def along_the_simplex(n=3000, seed=3):
    """Predictions that are no clusters and need no mixing, and labels of which 10% are drawn anew."""
    rng = np.random.default_rng(seed)
    clean = rng.dirichlet(np.full(4, 0.4), n)
    given = np.array([rng.choice(4, p=0.9 * p + 0.025) for p in clean])
    return np.log(0.9 * clean + 0.025), given


def memorised(log_q, given, most=4.0):
    """Predictions that moved towards their labels, each at its own pace."""
    pace = np.random.default_rng(4).uniform(0, most, len(given))
    log_q = log_q + pace[:, None] * np.eye(log_q.shape[1])[given]
    return log_q - np.log(np.exp(log_q).sum(axis=1, keepdims=True))


def test_clusters_are_believed_where_labels_are_likelier_with_them(clusters):
    log_q, given, _ = clusters(0.4)
    assert held_out(fit_clusters, log_q, given).mean() > held_out(fit_mixed, log_q, given).mean()
    assert isinstance(fit(log_q, given), ClusterModel)


def test_clusters_are_believed_where_predictions_memorise(clusters):
    log_q, given, true = clusters(0.1, spread=0.3, hedge=0.1)
    log_q = memorised(log_q, given)
    assert held_out(fit_clusters, log_q, given).mean() < held_out(fit_mixed, log_q, given).mean()
    model = fit(log_q, given)
    assert isinstance(model, ClusterModel)
    flagged = model.posterior(log_q, given)[np.arange(len(given)), given] < 0.5
    assert (flagged == (given != true)).mean() > 0.99


def test_clusters_that_touch_are_not_believed_for_memorising(clusters):
    log_q, given, _ = clusters(0.1, spread=1.5, hedge=0.1)
    log_q = memorised(log_q, given)
    model = fit_clusters(log_q, given)
    assert model.lean > _label_noise._MEMORISED
    assert model.overlap(log_q) > _label_noise._APART
    assert isinstance(fit(log_q, given), CalibratedModel)


def test_few_parameters_are_believed_where_more_gain_nothing():
    model = fit(*along_the_simplex())
    assert isinstance(model, CalibratedModel)
    assert model.weights.ndim == 0


def test_mixed_classes_are_believed_where_that_gains(confused):
    log_q, _, given = confused(0.15)
    model = fit(log_q, given)
    assert isinstance(model, CalibratedModel)
    assert model.weights.shape == (4, 4)


def test_held_out_labels_were_not_fitted_to():
    """Labels without rhyme or reason are likelier under a model that was fitted to them than held out."""
    rng = np.random.default_rng(0)
    log_q, labels = np.log(rng.dirichlet(np.ones(4), 300)), rng.integers(0, 4, 300)
    inside = fit_mixed(log_q, labels).log_likelihood(log_q, labels).mean()
    assert held_out(fit_mixed, log_q, labels).mean() < inside
    seen = []

    def watched(some, of_some):
        seen.append({row.tobytes() for row in some})
        return fit_scaled(some, of_some)

    assert held_out(watched, log_q, labels).shape == (300,)
    held = [{row.tobytes() for row in log_q} - each for each in seen]
    assert sorted(len(each) for each in held) == [60] * 5
    assert len(set.union(*held)) == 300


@pytest.mark.parametrize(
    ("c", "n"), [(MOST_CLASSES + 1, 3000), (4, 4 * LEAST_EXAMPLES_PER_CLASS - 1)], ids=["many", "few"]
)
def test_many_classes_or_few_examples_have_the_model_of_few_parameters(c, n):
    rng = np.random.default_rng(0)
    log_q = np.log(rng.dirichlet(np.ones(c), n))
    model = fit(log_q, rng.integers(0, c, n))
    assert isinstance(model, CalibratedModel)
    assert model.weights.ndim == 0
