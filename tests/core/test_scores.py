"""What the scores are: against their definitions in 50 digits, and their invariants."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prune_kit.scores import (
    SCORE_NAMES,
    check_score_names,
    cross_entropy,
    el2n,
    entropy,
    error_norm,
    grand_last_layer,
    margin,
    p_label,
    predicted,
    score_columns,
)

FROM_LOGITS = ("el2n", "error_l1", "margin", "margin_sum", "cross_entropy", "entropy", "p_label")
PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)


def exact(logits, label):
    """Every score of one example by its definition, in 50 digits."""
    with mpmath.workdps(50):
        exps = [mpmath.exp(mpmath.mpf(float(x))) for x in logits]
        total = mpmath.fsum(exps)
        p = [e / total for e in exps]
        others = [x for j, x in enumerate(p) if j != label]
        return {
            "el2n": mpmath.sqrt(mpmath.fsum((x - (j == label)) ** 2 for j, x in enumerate(p))),
            "error_l1": mpmath.fsum(abs(x - (j == label)) for j, x in enumerate(p)),
            "margin": max(others) - p[label],
            "margin_sum": mpmath.fsum(x - p[label] for x in others),
            "cross_entropy": -mpmath.log(p[label]),
            "entropy": -mpmath.fsum(x * mpmath.log(x) for x in p),
            "p_label": p[label],
        }


def relative_error(value, truth):
    return abs(float(value) / truth - 1) if truth else abs(value)


def at_every_confidence(num_classes):
    """Logits in float32 whose label lies from 80 below to 80 above the strongest other class."""
    rng = np.random.default_rng(num_classes)
    gaps = np.concatenate([np.linspace(-80, 80, 33), [1e-6, -1e-6, 1e-3, -1e-3, 0.3, -0.3]])
    logits, labels = [], []
    for gap in gaps:
        row = rng.standard_normal(num_classes) * rng.choice([0.1, 1, 5])
        label = int(rng.integers(num_classes))
        row[label] = np.delete(row, label).max() + gap
        logits.append(row + rng.choice([0, 60, -60]))
        labels.append(label)
    for _ in range(40):
        logits.append(2 * rng.standard_normal(num_classes))
        labels.append(int(rng.integers(num_classes)))
    return np.array(logits, np.float32), np.array(labels)


@pytest.mark.parametrize("num_classes", [2, 3, 10, 64, 65, 150])
def test_right_at_every_confidence(num_classes):
    logits, labels = at_every_confidence(num_classes)
    columns = score_columns(logits, labels, scores=[name for name in FROM_LOGITS if name != "p_label"])
    for row, (values, label) in enumerate(zip(logits, labels, strict=True)):
        truth = exact(values, label)
        for name in FROM_LOGITS:
            assert columns[name].dtype == np.float32
            assert relative_error(columns[name][row], truth[name]) < 1e-5, (name, row, values[label])


def test_the_sure_example_keeps_its_digits_where_the_obvious_code_loses_them():
    logits, labels = np.array([[17.0, 0.0, -1.0]], np.float32), np.array([0])
    exps = np.exp(logits - logits.max())
    obvious = np.linalg.norm(exps / exps.sum() - np.eye(3, dtype=np.float32)[labels], axis=1)
    truth = float(exact(logits[0], 0)["el2n"])
    assert abs(obvious[0] / truth - 1) > 0.02
    assert abs(el2n(logits, labels)[0] / truth - 1) < 1e-6


def test_float64_is_right_to_float64():
    logits, labels = at_every_confidence(10)
    columns = score_columns(logits.astype(np.float64), labels, scores=FROM_LOGITS[:-1])
    for row, (values, label) in enumerate(zip(logits, labels, strict=True)):
        truth = exact(values, label)
        for name in FROM_LOGITS:
            assert columns[name].dtype == np.float64
            if name != "margin_sum":
                assert relative_error(columns[name][row], truth[name]) < 1e-13, name


@pytest.mark.parametrize("num_classes", [3, 100])
def test_probabilities_give_what_their_logits_give(num_classes):
    logits, labels = at_every_confidence(num_classes)
    with mpmath.workdps(50):
        exps = [[mpmath.exp(mpmath.mpf(float(x))) for x in row] for row in logits]
        probabilities = np.array([[float(e / mpmath.fsum(row)) for e in row] for row in exps])
    scores = ("el2n", "error_l1", "margin", "cross_entropy", "entropy")
    want = score_columns(logits.astype(np.float64), labels, scores=scores)
    got = score_columns(probabilities, labels, scores=scores, from_logits=False)
    for name in (*scores, "p_label"):
        # Where two probabilities are nearly equal, their difference is known to an ulp of them alone.
        np.testing.assert_allclose(got[name], want[name], rtol=1e-12, atol=1e-15 if name == "margin" else 0)
    half = probabilities.astype(np.float16)
    np.testing.assert_allclose(el2n(half, labels, from_logits=False), want["el2n"], atol=2e-3)


def test_probabilities_that_are_exactly_one_and_zero():
    probabilities, labels = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), np.array([0, 1])
    columns = score_columns(
        probabilities, labels, scores=("el2n", "margin", "cross_entropy", "entropy"), from_logits=False
    )
    assert columns["el2n"].tolist() == [0, np.sqrt(2)]
    assert columns["margin"].tolist() == [-1, 1]
    assert columns["cross_entropy"].tolist() == [0, np.inf]
    assert columns["entropy"].tolist() == [0, 0]
    assert columns["p_label"].tolist() == [1, 0]


def test_single_functions_give_the_columns():
    logits, labels = at_every_confidence(10)
    features = np.random.default_rng(0).standard_normal((len(labels), 7)).astype(np.float32)
    columns = score_columns(logits, labels, scores=SCORE_NAMES, features=features)
    assert list(columns) == ["predicted", "p_label", *SCORE_NAMES]
    single = {
        "predicted": predicted(logits),
        "p_label": p_label(logits, labels),
        "el2n": el2n(logits, labels),
        "error_l1": error_norm(logits, labels, ord=1),
        "margin": margin(logits, labels),
        "margin_sum": margin(logits, labels, reduce="sum"),
        "cross_entropy": cross_entropy(logits, labels),
        "entropy": entropy(logits),
        "grand_last_layer": grand_last_layer(logits, labels, features),
    }
    for name, column in single.items():
        np.testing.assert_array_equal(columns[name], column)
    np.testing.assert_array_equal(error_norm(logits, labels), columns["el2n"])


def test_predicted_is_the_first_of_the_largest():
    logits = np.array([[0.0, 2, 2], [3, 1, 3], [1, 1, 1]])
    assert predicted(logits).tolist() == [1, 0, 0]
    assert predicted(logits).dtype == np.int64


def test_logits_whose_differences_overflow_are_still_right():
    huge = np.float32(3e38)
    logits = np.array([[huge, -huge, 0], [-huge, huge, 0]], np.float32)
    columns = score_columns(logits, np.array([0, 0]), scores=("el2n", "margin", "entropy"))
    np.testing.assert_allclose(columns["el2n"], [0, np.sqrt(2)])
    np.testing.assert_allclose(columns["margin"], [-1, 1])
    np.testing.assert_allclose(columns["entropy"], [0, 0])


logits_and_labels = st.tuples(st.integers(1, 30), st.integers(2, 80)).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.float32, shape, elements=st.floats(-60, 60, width=32)),
        hnp.arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1)),
    )
)


@PROPERTY
@given(logits_and_labels, st.integers(0, 2**32 - 1))
def test_permuting_examples_permutes_scores(pair, seed):
    logits, labels = pair
    order = np.random.default_rng(seed).permutation(len(labels))
    names = ("el2n", "margin", "margin_sum", "cross_entropy", "entropy")
    columns = score_columns(logits, labels, scores=names)
    permuted = score_columns(logits[order], labels[order], scores=names)
    for name, column in columns.items():
        np.testing.assert_array_equal(permuted[name], column[order])


@PROPERTY
@given(logits_and_labels, st.integers(-512, 512))
def test_adding_a_constant_to_a_row_changes_nothing(pair, shift):
    logits, labels = pair
    logits = np.round(logits * 16) / 16  # so that the sums are exact
    shifted = logits + np.float32(shift)
    for function in (el2n, margin, cross_entropy):
        np.testing.assert_allclose(function(shifted, labels), function(logits, labels), rtol=1e-5, atol=1e-37)
    np.testing.assert_array_equal(entropy(shifted), entropy(logits))


@PROPERTY
@given(logits_and_labels, st.sampled_from([np.int64, np.float32, np.bool_]))
def test_one_hot_and_integer_labels_agree_exactly(pair, dtype):
    logits, labels = pair
    one_hot = np.eye(logits.shape[1], dtype=dtype)[labels]
    names = ("el2n", "error_l1", "margin", "margin_sum", "cross_entropy", "entropy")
    columns = score_columns(logits, labels, scores=names)
    np.testing.assert_array_equal(p_label(logits, one_hot), columns.pop("p_label"))
    for name, column in score_columns(logits, one_hot, scores=names).items():
        np.testing.assert_array_equal(column, columns[name])


@PROPERTY
@given(logits_and_labels)
def test_ranges_and_relations(pair):
    logits, labels = pair
    columns = score_columns(logits, labels, scores=("el2n", "error_l1", "margin", "margin_sum", "entropy"))
    c, ulps = logits.shape[1], 1 + 1e-6
    assert (columns["el2n"] >= 0).all()
    assert (columns["el2n"] <= np.float32(np.sqrt(2) * ulps)).all()
    assert (columns["error_l1"] <= 2 * ulps).all()
    assert (np.abs(columns["margin"]) <= ulps).all()
    assert (columns["margin_sum"] >= -(c - 1) * ulps).all()
    assert (columns["entropy"] <= np.log(c) * (1 + 1e-5)).all()
    # ||x||_2 <= ||x||_1 <= sqrt(c) ||x||_2
    assert (columns["el2n"] <= columns["error_l1"] * ulps).all()
    assert (columns["error_l1"] <= np.sqrt(c) * columns["el2n"] * (1 + 1e-5)).all()
    wrong = columns["margin"] > 0
    assert (columns["predicted"][wrong] != labels[wrong]).all()
    assert (columns["predicted"][columns["margin"] < 0] == labels[columns["margin"] < 0]).all()


def test_soft_labels_by_definition():
    rng = np.random.default_rng(3)
    logits = 4 * rng.standard_normal((50, 6))
    labels = rng.dirichlet(np.ones(6), 50)
    labels[7] = np.eye(6)[2]  # one row that is one-hot, among others that are not
    labels[8] = [0.5, 0.5, 0, 0, 0, 0]
    features = rng.standard_normal((50, 3))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = {
        "el2n": np.linalg.norm(p - labels, axis=1),
        "error_l1": np.abs(p - labels).sum(1),
        "cross_entropy": -(labels * np.log(p)).sum(1),
    }
    for kind, tolerance in ((np.float64, 1e-12), (np.float32, 2e-6)):
        given_logits = logits.astype(kind)
        np.testing.assert_allclose(el2n(given_logits, labels), truth["el2n"], rtol=tolerance)
        assert el2n(given_logits, labels).dtype == kind
        np.testing.assert_allclose(error_norm(given_logits, labels, ord=1), truth["error_l1"], rtol=tolerance)
        np.testing.assert_allclose(
            cross_entropy(given_logits, labels), truth["cross_entropy"], rtol=tolerance
        )
        np.testing.assert_allclose(el2n(p.astype(kind), labels, from_logits=False), truth["el2n"], rtol=1e-5)
        np.testing.assert_allclose(
            grand_last_layer(given_logits, labels, features),
            truth["el2n"] * np.sqrt((features**2).sum(1) + 1),
            rtol=tolerance,
        )
    assert el2n(logits, labels)[7] == el2n(logits[7:8], np.array([2]))[0]


@pytest.mark.parametrize("labels", [np.eye(3), np.full((3, 3), 1 / 3), np.eye(3).tolist()])
def test_which_columns_there_are_does_not_depend_on_values(labels):
    columns = score_columns(np.eye(3), labels, scores=("el2n", "entropy"))
    assert list(columns) == ["predicted", "el2n", "entropy"]


def test_soft_labels_stay_apart_where_the_prediction_is_sure():
    logits = np.array([[80.0, 0.0], [0.0, 80.0]], np.float32)
    labels = np.array([[0.75, 0.25], [0.75, 0.25]])
    np.testing.assert_allclose(cross_entropy(logits, labels), [20, 60], rtol=1e-6)
    np.testing.assert_allclose(el2n(logits, labels), np.sqrt(2) * np.array([0.25, 0.75]), rtol=1e-6)


def test_grand_last_layer_is_the_gradient_of_the_last_layer():
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(5, 4).double()
    features = torch.randn(8, 5, generator=generator, dtype=torch.float64)
    labels = torch.arange(8) % 4
    norms, without_bias = [], []
    for row in range(8):
        layer.zero_grad()
        torch.nn.functional.cross_entropy(layer(features[row : row + 1]), labels[row : row + 1]).backward()
        norms.append(torch.cat([layer.weight.grad.reshape(-1), layer.bias.grad]).norm().item())
        without_bias.append(layer.weight.grad.norm().item())
    logits = layer(features)
    np.testing.assert_allclose(grand_last_layer(logits, labels, features), norms, rtol=1e-12)
    np.testing.assert_allclose(
        grand_last_layer(logits, labels, features, bias=False), without_bias, rtol=1e-12
    )


def test_features_whose_squares_overflow():
    logits = np.zeros((2, 2), np.float32)
    features = np.array([[3e30, 4e30], [0, 0]], np.float32)
    scores = grand_last_layer(logits, np.array([0, 1]), features)
    np.testing.assert_allclose(scores, np.sqrt(0.5) * np.array([5e30, 1]), rtol=1e-6)


def test_check_score_names_takes_what_there_is():
    check_score_names(SCORE_NAMES)
    check_score_names(["entropy"])
