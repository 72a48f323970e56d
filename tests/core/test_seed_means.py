"""Means over seeds beside the definition written out."""

import math

import numpy as np
import pytest

from prune_kit.seed_means import mean_and_error, means_at


def by_definition(values):
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))


def test_the_standard_error_is_of_the_mean_with_n_minus_one():
    values = [0.9, 0.8, 0.95, 0.7]
    assert mean_and_error(values) == pytest.approx(by_definition(values), rel=1e-12)
    assert mean_and_error([0.5]) == (0.5, None)


def test_float32_is_averaged_in_float64():
    values = np.full(1000, 0.1, np.float32)
    assert mean_and_error(values)[0] == pytest.approx(float(np.float32(0.1)), rel=1e-14)


def test_means_are_taken_place_by_place_in_ascending_order():
    places = np.array([2.5, 0.5, 2.5, 1.5, 0.5, 2.5])
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    at, mean, error = means_at(places, values)
    assert at.tolist() == [0.5, 1.5, 2.5]
    wanted = [by_definition([2.0, 16.0]), (8.0, 0.0), by_definition([1.0, 4.0, 32.0])]
    np.testing.assert_allclose(np.stack([mean, error], 1), wanted, rtol=1e-12)
