"""Test data that is not like the training data, or is some of it."""

import dataclasses
import warnings

import numpy as np
import pytest

from prune_kit.data import Examples
from prune_kit.errors import PruneKitError
from prune_kit.held_out import check_test_data, shared_inputs


def examples(n, seed, **changes):
    inputs = np.random.default_rng(seed).integers(0, 256, (n, 4, 4, 3), np.uint8)
    made = Examples(inputs, np.arange(n) % 3, np.arange(n), ("a", "b", "c"), f"source {seed}")
    return dataclasses.replace(made, **changes)


def test_data_that_is_alike_passes_silently():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_test_data(examples(20, 0), examples(9, 1))
        check_test_data(examples(20, 0), examples(9, 1, class_names=None))
        check_test_data(([1], [0]), ([2], [0]))


def test_shared_inputs_are_counted_one_by_one():
    data, test = examples(20, 0), examples(9, 1)
    mixed = dataclasses.replace(test, inputs=np.concatenate([test.inputs[:6], data.inputs[[3, 3, 17]]]))
    written_out = sum(any((x == y).all() for y in data.inputs) for x in mixed.inputs)
    assert shared_inputs(data, mixed) == written_out == 3
    with pytest.warns(UserWarning, match="3 of the 9 test examples have the same inputs as a training"):
        check_test_data(data, mixed)


@pytest.mark.parametrize(
    ("data", "test", "message"),
    [
        (examples(9, 0), ([1], [0]), "must be of the same kind; got Examples and tuple"),
        (([1], [0]), examples(9, 0), "must be of the same kind; got tuple and Examples"),
        (
            examples(9, 0),
            examples(9, 1, inputs=np.zeros((9, 8, 8, 3), np.uint8)),
            r"the shape of those of `data`, \(4, 4, 3\); got \(8, 8, 3\)",
        ),
        (
            examples(9, 0),
            examples(9, 1, class_names=("a", "c", "d")),
            "must have the classes of `data`, 'a', 'b', 'c'; got 'a', 'c', 'd'",
        ),
    ],
    ids=["kind", "other kind", "shape", "classes"],
)
def test_data_that_is_not_alike_is_refused(data, test, message):
    with pytest.raises(PruneKitError, match=message):
        check_test_data(data, test)
