from __future__ import annotations

import array_api_strict
import dask.array
import numpy as np
import pytest
import torch

from prune_kit.checks import (
    check_classes,
    check_finite,
    check_labels,
    check_logits,
    check_probabilities,
    check_soft_labels,
    first_true,
    is_number,
    subset_size,
)
from prune_kit.errors import PruneKitError

XPS = [np, array_api_strict, torch]


@pytest.mark.parametrize(
    ("fraction", "count", "size"),
    [(0.5, None, 5), (0, None, 0), (1, None, 10), (0.26, None, 3), (None, 7, 7)],
)
def test_subset_size(fraction, count, size):
    assert subset_size(10, fraction, count) == size


@pytest.mark.parametrize(
    ("fraction", "count", "message"),
    [
        (None, None, "exactly one"),
        (0.5, 3, "exactly one"),
        (1.5, None, "from 0 to 1; got 1.5"),
        (True, None, "from 0 to 1; got True"),
        (float("nan"), None, "from 0 to 1; got nan"),
        (None, 11, "number of examples, 10; got 11"),
        (None, -1, "got -1"),
        (None, 2.0, "got 2.0"),
    ],
)
def test_subset_size_refuses(fraction, count, message):
    with pytest.raises(PruneKitError, match=message):
        subset_size(10, fraction, count)


@pytest.mark.parametrize("xp", XPS)
@pytest.mark.parametrize(
    ("value", "word"), [(float("nan"), "NaN"), (float("inf"), "infinity"), (-float("inf"), "infinity")]
)
def test_the_first_row_that_is_not_finite_is_named(xp, value, word):
    rows = [[0.0, 1.0]] * 5
    rows[3] = [value, 1.0]
    rows[4] = [float("nan"), float("nan")]
    with pytest.raises(PruneKitError, match=rf"`logits` must be finite; got .*{word} in row 103\. Hint: "):
        check_finite(xp.asarray(rows), "logits", 100)
    check_finite(xp.asarray(rows[:3]), "logits", 100)


def test_the_hint_for_float16_says_that_it_overflows():
    given = np.array([[70000.0, 1.0]]).astype(np.float32)
    with np.errstate(over="ignore"):
        half = given.astype(np.float16)
    with pytest.raises(PruneKitError, match="65504"):
        check_finite(half.astype(np.float32), "logits", 0, given=half)


@pytest.mark.parametrize("xp", XPS)
def test_first_true(xp):
    assert first_true(xp.asarray([False, False, True, True])) == 2


@pytest.mark.parametrize("xp", XPS)
@pytest.mark.parametrize(
    ("row", "message"),
    [([1.2, -0.2], "got -0.2 in row 11"), ([0.5, 0.4], "row 11 sums to 0.9"), ([3.0, 1.0], "sums to 4")],
)
def test_probabilities_that_look_like_logits(xp, row, message):
    with pytest.raises(PruneKitError, match=rf"{message}.*look like logits"):
        check_probabilities(xp.asarray([[0.5, 0.5], row]), 10)
    check_probabilities(xp.asarray([[0.5, 0.504]]), 10)


@pytest.mark.parametrize("xp", XPS)
@pytest.mark.parametrize(
    ("label", "message"),
    [
        (-1, r"0 \.\.\. 2, the columns of `logits`; got -1 in row 6\. Hint: drop"),
        (3, "got 3 in row 6. Hint: classes count from 0"),
        (9, "got 9 in row 6. Hint: the model has fewer outputs"),
    ],
)
def test_labels_out_of_range(xp, label, message):
    with pytest.raises(PruneKitError, match=message):
        check_classes(xp.asarray([0, label, 2]), 3, 5)


@pytest.mark.parametrize("xp", XPS)
def test_labels_of_a_small_type_are_compared_with_many_classes(xp):
    labels = check_classes(xp.asarray([0, 255], dtype=xp.uint8), 1000, 0)
    assert int(labels[1]) == 255


@pytest.mark.parametrize("xp", XPS)
def test_soft_labels(xp):
    hard, certain = check_soft_labels(xp.asarray([[0, 1], [1, 0]]), 0, hard_only=["margin"])
    assert [int(x) for x in hard] == [1, 0]
    assert certain is None
    hard, certain = check_soft_labels(xp.asarray([[0.3, 0.7], [1.0, 0.0]]), 0, hard_only=[])
    assert [bool(x) for x in certain] == [False, True]
    assert [int(x) for x in hard] == [1, 0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5, 0.2], "row 8 sums to 0.7"),
        ([1.5, -0.5], "row 8 has a negative entry"),
        ([np.nan, 1], "NaN in row 8"),
    ],
)
def test_soft_labels_that_are_no_distributions(row, message):
    with pytest.raises(PruneKitError, match=message):
        check_soft_labels(np.array([[0, 1], row]), 7, hard_only=[])


def test_soft_labels_where_one_class_is_needed():
    with pytest.raises(
        PruneKitError, match=r"margin, p_label must have one class per example; row 8 .* not one-hot"
    ):
        check_soft_labels(np.array([[0, 1], [0.5, 0.5]]), 7, hard_only=["margin", "p_label"])


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.ones(3), r"shape \(n, c\); got \(3,\)"),
        (np.ones((2, 3, 4)), r"got \(2, 3, 4\)\. Hint: .*reshape\(-1, logits.shape\[-1\]\)"),
        (np.ones((0, 3)), r"not be empty; got shape \(0, 3\)"),
        (np.ones((3, 0)), r"not be empty; got shape \(3, 0\)"),
        (np.ones((3, 1)), r"at least 2 classes; got shape \(3, 1\)\. Hint: for a single sigmoid"),
        (np.ones((3, 2), complex), "real numbers; got complex128"),
        (np.ones((3, 2), bool), "real numbers; got bool"),
        (np.array([["a", "b"]]), "real numbers; got str"),
        (5.0, r"got \(\)"),
    ],
)
def test_logits_refused(logits, message):
    with pytest.raises(PruneKitError, match=message):
        check_logits(logits)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((7, 5), int), r"shape \(7,\), one per row of `logits`, or \(7, 3\); got \(7, 5\)\. Hint: "),
        (np.zeros((7, 1), int), r"got \(7, 1\)\. Hint: labels.reshape\(-1\)"),
        (np.zeros(6, int), r"got \(6,\)"),
        (0, r"got \(\)"),
        (np.zeros(7), "must be integers; got float64. Hint: labels.astype"),
        (np.zeros(7, bool), "must be integers; got bool"),
        (np.array(["cat"] * 7), "must be integers; got str.*return_inverse"),
        (np.array(["cat"] * 7, object), "must be integers; got object.*return_inverse"),
        (np.zeros((7, 3), complex), r"\(n, c\) must be numbers; got complex128"),
    ],
)
def test_labels_refused(labels, message):
    with pytest.raises(PruneKitError, match=message):
        check_labels(labels, (7, 3))


def test_dask_arrays_of_unknown_length_are_refused():
    array = dask.array.ones((6, 2), chunks=(3, 2))
    unknown = array[array[:, 0] > 0]
    with pytest.raises(PruneKitError, match="compute_chunk_sizes"):
        check_logits(unknown)


def test_which_types_are_numbers():
    assert is_number(np.ones(1, np.float16))
    assert is_number(torch.ones(1, dtype=torch.bfloat16))
    assert not is_number(torch.ones(1, dtype=torch.bfloat16), "integral")
    assert not is_number(np.ones(1, bool))
    assert is_number(np.ones(1, np.uint8), "integral")
