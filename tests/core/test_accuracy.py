"""Accuracies, their means and differences, against the definitions written out."""

import math

import numpy as np
import pytest

from prune_kit.accuracy import accuracy_of, summarise
from prune_kit.table import ScoreTable

SUBSETS = {
    "kept": {"kept": 5, "of": 9, "examples": "a"},
    "random": {"kept": 5, "of": 9, "drawn": "every seed"},
    "smaller": {"kept": 3, "of": 9, "examples": "b"},
    "full": {"kept": 9, "of": 9, "examples": "all"},
}


def rows(of):
    return [
        {"subset": name, "kept": SUBSETS[name]["kept"], "seed": s, "epoch": 2, "steps": 8, "accuracy": a}
        for name, seeds in of.items()
        for s, a in seeds.items()
    ]


def test_accuracy_is_the_share_of_labels_that_are_predicted():
    table = ScoreTable([5, 6, 7, 8], [0, 1, 2, 1], {"predicted": np.array([0, 1, 1, 1])})
    assert accuracy_of(table) == 0.75


def test_the_label_of_soft_labels_is_the_largest():
    table = ScoreTable([5, 6], [[0.1, 0.9], [0.6, 0.4]], {"predicted": np.array([1, 1])})
    assert accuracy_of(table) == 0.5


def test_differences_are_of_the_same_seed():
    of = {
        "kept": {0: 0.9, 1: 0.8, 2: 0.7},
        "random": {0: 0.85, 1: 0.6, 2: 0.75},
        "full": {0: 0.95, 2: 0.8},
    }
    kept, random, full = summarise(rows(of), SUBSETS, 2)
    assert (kept["subset"], kept["kept"], kept["seeds"], kept["epoch"], kept["steps"]) == ("kept", 5, 3, 2, 8)
    pairs = [0.05, 0.2, -0.05]
    mean = sum(pairs) / 3
    error = math.sqrt(sum((p - mean) ** 2 for p in pairs) / 2 / 3)
    assert kept["difference_to_random"] == pytest.approx(mean)
    assert kept["difference_to_random_standard_error"] == pytest.approx(error)
    # Seed 1 was not trained on all of the data.
    assert kept["difference_to_full"] == pytest.approx((-0.05 - 0.1) / 2)
    assert random["difference_to_random"] is None
    assert random["difference_to_full"] == pytest.approx((-0.1 - 0.05) / 2)
    assert full["difference_to_random"] is full["difference_to_full"] is None
    assert full["difference_to_full_standard_error"] is None


def test_a_random_subset_of_another_size_is_no_baseline():
    (smaller, _) = summarise(rows({"smaller": {0: 0.5}, "random": {0: 0.4}}), SUBSETS, 2)
    assert smaller["difference_to_random"] is None
    assert smaller["standard_error"] is None


def test_all_of_the_data_as_it_is_comes_before_all_its_positions():
    subsets = {"everything": {"kept": 9, "of": 9, "examples": "c"}, **SUBSETS}
    of = [{**row, "subset": name} for name in ("everything", "full") for row in rows({"full": {0: 0.5}})]
    everything, full = summarise(of, subsets, 2)
    assert (everything["difference_to_full"], full["difference_to_full"]) == (0.0, None)


def test_of_another_epoch_nothing_is_said():
    assert summarise(rows({"kept": {0: 0.5}}), SUBSETS, 3) == []
