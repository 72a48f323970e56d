"""Scores of sigmoid outputs and of regressions: against their definitions, written out."""

from __future__ import annotations

import array_api_strict
import dask.array
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import prune_kit._columns as columns_module
from prune_kit._columns import device_columns
from prune_kit.arrays import dtype_name, to_numpy
from prune_kit.errors import PruneKitError
from prune_kit.scores import (
    cross_entropy,
    el2n,
    entropy,
    error_norm,
    grand_last_layer,
    logit_margin,
    margin,
    score_columns,
)

LIBRARIES = {
    "numpy": np.asarray,
    "strict": array_api_strict.asarray,
    "torch": torch.asarray,
    "jax": jnp.asarray,
    "dask": lambda x: dask.array.from_array(np.asarray(x), chunks=(4, *(3 for _ in np.shape(x)[1:]))),
}
MULTILABEL = ("el2n", "error_l1", "margin", "logit_margin", "cross_entropy", "entropy")
PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)


@pytest.fixture(params=LIBRARIES)
def library(request):
    return LIBRARIES[request.param]


def written_out(logits, labels):
    """Every score of one example with sigmoid outputs by its definition, in 60 digits."""
    with mpmath.workdps(60):
        one = mpmath.mpf(1)
        p = [one / (one + mpmath.exp(-mpmath.mpf(float(z)))) for z in logits]
        y = [mpmath.mpf(float(label)) for label in labels]
        errors = [abs(a - b) for a, b in zip(p, y, strict=True)]
        truth = {
            "el2n": mpmath.sqrt(mpmath.fsum(e * e for e in errors)),
            "error_l1": mpmath.fsum(errors),
            "cross_entropy": -mpmath.fsum(
                b * mpmath.log(a) + (1 - b) * mpmath.log(1 - a) for a, b in zip(p, y, strict=True)
            ),
            "entropy": -mpmath.fsum(a * mpmath.log(a) + (1 - a) * mpmath.log(1 - a) for a in p),
        }
        if all(label in (0, 1) for label in labels):
            right = [a if b == 1 else 1 - a for a, b in zip(p, y, strict=True)]
            truth["margin"] = max((1 - r) - r for r in right)
            truth["logit_margin"] = max(
                -float(z) if b == 1 else float(z) for z, b in zip(logits, y, strict=True)
            )
        return {name: float(value) for name, value in truth.items()}


def example(n=23, c=5, spread=20.0):
    rng = np.random.default_rng(c)
    logits = (spread * rng.standard_normal((n, c))).astype(np.float32)
    return logits, rng.integers(0, 2, (n, c))


def assert_columns(got, logits, labels, rtol=1e-5):
    for row in range(len(logits)):
        for name, value in written_out(logits[row], labels[row]).items():
            if name in got:
                assert to_numpy(got[name])[row] == pytest.approx(value, rel=rtol, abs=1e-38), (name, row)


@pytest.mark.parametrize("c", [1, 2, 7])
def test_sigmoids_are_right_at_every_confidence(c):
    """Labels that are predicted with up to 80 nats, rightly and wrongly: p - y in float32 would be 0."""
    rng = np.random.default_rng(c)
    gaps = np.concatenate([np.linspace(-80, 80, 33), [1e-6, -1e-6, 1e-3, 0.0]])
    logits = (gaps[:, None] * rng.uniform(0.9, 1, (len(gaps), c))).astype(np.float32)
    for labels in (np.zeros_like(logits), np.ones_like(logits), rng.integers(0, 2, logits.shape)):
        got = score_columns(logits, labels, scores=MULTILABEL, task="multilabel")
        assert list(got) == list(MULTILABEL)
        assert all(column.dtype == np.float32 for column in got.values())
        assert_columns(got, logits, labels)


def test_soft_labels_of_sigmoids_beside_hard_ones():
    logits, _ = example(spread=3.0)
    labels = np.random.default_rng(0).choice([0.0, 0.25, 0.9, 1.0], logits.shape)
    names = ("el2n", "error_l1", "cross_entropy", "entropy")
    assert_columns(score_columns(logits, labels, scores=names, task="multilabel"), logits, labels)


def test_probabilities_of_sigmoids():
    probabilities = np.array([[0.25, 1.0, 0.0], [0.9, 0.0, 1.0]])
    labels = np.array([[1, 1, 0], [0, 0, 0]])
    names = ("el2n", "error_l1", "margin", "cross_entropy", "entropy")
    got = score_columns(probabilities, labels, scores=names, from_logits=False, task="multilabel")
    np.testing.assert_allclose(got["el2n"], [0.75, np.sqrt(0.9**2 + 1)])
    np.testing.assert_allclose(got["error_l1"], [0.75, 1.9])
    np.testing.assert_allclose(got["margin"], [0.5, 1.0])
    np.testing.assert_allclose(got["cross_entropy"], [-np.log(0.25), np.inf])
    np.testing.assert_allclose(
        got["entropy"], [-(p * np.log(p) + (1 - p) * np.log(1 - p)) for p in (0.25, 0.9)]
    )


def test_every_library_gives_the_sigmoid_scores(library):
    logits, labels = example()
    truth = score_columns(logits.astype(np.float64), labels, scores=MULTILABEL, task="multilabel")
    given = library(logits)
    for marks in (labels, labels.astype(bool), labels.astype(np.float32), labels.astype(np.uint8)):
        got = score_columns(given, library(marks), scores=MULTILABEL, task="multilabel")
        for name, column in got.items():
            assert type(column) is type(given)
            assert dtype_name(column) == "float32"
            np.testing.assert_allclose(to_numpy(column), truth[name], rtol=1e-5, atol=1e-37, err_msg=name)
    np.testing.assert_allclose(to_numpy(entropy(given, task="multilabel")), truth["entropy"], rtol=1e-5)


@pytest.mark.parametrize("make", [torch.asarray, jnp.asarray, array_api_strict.asarray])
def test_the_way_that_accelerators_take(make, monkeypatch):
    monkeypatch.setattr(columns_module, "DEVICE_BLOCK_ELEMENTS", 7 * 5)  # several ragged blocks
    logits, labels = example()
    got = device_columns(make(logits), make(labels), MULTILABEL, from_logits=True, task="multilabel")
    assert_columns(got, logits, labels)
    targets = make(labels.astype(np.float32))
    got = device_columns(make(logits), targets, ("el2n", "error_l1"), from_logits=True, task="regression")
    np.testing.assert_allclose(to_numpy(got["el2n"]), np.linalg.norm(logits - labels, axis=1), rtol=1e-5)


@pytest.mark.parametrize("make", [lambda x: x.astype(np.float16), lambda x: torch.asarray(x).bfloat16()])
def test_half_precision_is_answered_in_float32(make):
    logits, labels = example(spread=3.0)
    given = make(logits)
    got = score_columns(given, labels, scores=MULTILABEL, task="multilabel")
    assert {dtype_name(column) for column in got.values()} == {"float32"}
    assert_columns(got, to_numpy(given).astype(np.float64), labels)


def test_one_sigmoid_is_a_softmax_over_absent_and_present():
    logits, labels = example(c=1)
    pair, classes = np.hstack([np.zeros_like(logits), logits]), labels[:, 0]
    one, two = (
        score_columns(logits, labels, scores=MULTILABEL, task="multilabel"),
        score_columns(pair, classes, scores=MULTILABEL),
    )
    for name in MULTILABEL:
        factor = {"el2n": np.sqrt(2), "error_l1": 2}.get(name, 1)
        np.testing.assert_allclose(factor * one[name], two[name], rtol=2e-6, atol=1e-37, err_msg=name)


def test_single_functions_give_the_sigmoid_columns():
    logits, labels = example()
    columns = score_columns(logits, labels, scores=MULTILABEL, task="multilabel")
    single = {
        "el2n": el2n(logits, labels, task="multilabel"),
        "error_l1": error_norm(logits, labels, ord=1, task="multilabel"),
        "margin": margin(logits, labels, task="multilabel"),
        "logit_margin": logit_margin(logits, labels, task="multilabel"),
        "cross_entropy": cross_entropy(logits, labels, task="multilabel"),
        "entropy": entropy(logits, task="multilabel"),
    }
    for name, column in columns.items():
        np.testing.assert_array_equal(column, single[name])
    np.testing.assert_array_equal(error_norm(logits, labels, task="multilabel"), columns["el2n"])


@pytest.mark.parametrize("task", ["multilabel", "regression"])
@pytest.mark.parametrize("bias", [True, False])
def test_last_layer_is_the_norm_of_the_gradient(task, bias):
    """Against torch.autograd in float64, one example at a time."""
    rng = np.random.default_rng(0)
    features, weight, offset = (
        rng.standard_normal((6, 4)),
        rng.standard_normal((3, 4)),
        rng.standard_normal(3),
    )
    labels = rng.integers(0, 2, (6, 3)) if task == "multilabel" else rng.standard_normal((6, 3))
    truth = []
    for h, y in zip(torch.asarray(features), torch.asarray(labels).double(), strict=True):
        parameters = [torch.asarray(weight).requires_grad_(), torch.asarray(offset).requires_grad_(bias)]
        outputs = torch.nn.functional.linear(h, *parameters)
        if task == "multilabel":
            loss = torch.nn.functional.binary_cross_entropy_with_logits(outputs, y, reduction="sum")
        else:
            loss = ((outputs - y) ** 2).sum() / 2
        gradients = torch.autograd.grad(loss, [p for p in parameters if p.requires_grad])
        truth.append(float(torch.cat([g.reshape(-1) for g in gradients]).norm()))
    logits = features @ weight.T + offset
    np.testing.assert_allclose(grand_last_layer(logits, labels, features, bias=bias, task=task), truth)
    got = score_columns(logits, labels, scores=("grand_last_layer",), features=features, bias=bias, task=task)
    assert list(got) == ["grand_last_layer"]
    np.testing.assert_allclose(got["grand_last_layer"], truth)


@pytest.mark.parametrize("shape", [(9,), (9, 1), (9, 4)])
def test_residuals_in_every_library(library, shape):
    rng = np.random.default_rng(0)
    predictions = rng.standard_normal(shape).astype(np.float32)
    targets = rng.standard_normal(shape).astype(np.float32)
    errors = (predictions.astype(np.float64) - targets).reshape(9, -1)
    got = score_columns(
        library(predictions), library(targets), scores=("error_l1", "el2n"), task="regression"
    )
    assert list(got) == ["error_l1", "el2n"]
    assert type(got["el2n"]) is type(library(predictions))
    assert got["el2n"].shape == (9,)
    np.testing.assert_allclose(to_numpy(got["el2n"]), [np.sqrt((e * e).sum()) for e in errors], rtol=1e-6)
    np.testing.assert_allclose(to_numpy(got["error_l1"]), [np.abs(e).sum() for e in errors], rtol=1e-6)


def test_residuals_keep_the_digits_of_their_targets():
    """A target rounded to the predictions' float32 would be off by more than the residual."""
    got = el2n(np.array([2001.0], np.float32), np.array([2001.00001]), task="regression")
    assert got[0] == pytest.approx(1e-5, rel=1e-6)
    whole = el2n(np.array([2.5, 3.0]), np.array([2, 5]), task="regression")
    assert whole.tolist() == [0.5, 2.0]


@pytest.mark.parametrize("size", [1e-200, 1e-25, 1e25, 1e200])
def test_squares_of_residuals_neither_over_nor_underflow(size):
    got = el2n(np.array([[3 * size, 0]]), np.array([[0, 4 * size]]), task="regression")
    assert got[0] == pytest.approx(5 * size)


pairs = st.tuples(st.integers(1, 20), st.integers(1, 9)).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.float32, shape, elements=st.floats(-60, 60, width=32)), hnp.arrays(np.bool_, shape)
    )
)


@PROPERTY
@given(pairs)
def test_absent_and_present_are_alike(pair):
    """Turning the sign of a logit and its label turns the question round, and leaves every score."""
    logits, labels = pair
    got = score_columns(logits, labels, scores=MULTILABEL, task="multilabel")
    turned = score_columns(-logits, ~labels, scores=MULTILABEL, task="multilabel")
    for name in MULTILABEL:
        np.testing.assert_array_equal(got[name], turned[name], err_msg=name)


@PROPERTY
@given(pairs)
def test_sigmoid_scores_lie_in_their_ranges(pair):
    logits, labels = pair
    c = logits.shape[1]
    got = score_columns(logits, labels, scores=MULTILABEL, task="multilabel")
    above = 1 + 1e-6
    assert np.all((got["el2n"] >= 0) & (got["el2n"] <= np.sqrt(c) * above))
    assert np.all((got["error_l1"] >= got["el2n"] / above) & (got["error_l1"] <= c * above))
    assert np.all((got["entropy"] >= 0) & (got["entropy"] <= c * np.log(2) * above))
    assert np.all(got["cross_entropy"] >= 0)
    assert np.all(np.abs(got["margin"]) <= 1)


LOGITS = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
MARKS = np.ones((7, 3))


def changed(array, row, value):
    array = np.array(array, np.float64)
    array[row, 1] = value
    return array


@pytest.mark.parametrize(
    ("logits", "labels", "options", "message"),
    [
        (LOGITS, MARKS, {"task": "multi"}, r'`task` must be "multiclass", "multilabel" or .*; got \'multi\''),
        (
            LOGITS,
            MARKS[:, 0].astype(int),
            {"task": "multilabel"},
            r"shape of `logits`, \(7, 3\); got \(7,\).*eye",
        ),
        (LOGITS, MARKS[:6], {"task": "multilabel"}, r"got \(6, 3\). Hint: each output needs a label"),
        (LOGITS, MARKS.astype(str), {"task": "multilabel"}, "`labels` must be numbers; got str"),
        (LOGITS[:, 0], MARKS[:, 0], {"task": "multilabel"}, r"must have shape \(n, c\); got \(7,\)"),
        (LOGITS[:0], MARKS[:0], {"task": "multilabel"}, r"must not be empty; got shape \(0, 3\)"),
        (LOGITS > 0, MARKS, {"task": "multilabel"}, "`logits` must be real numbers; got bool"),
        (
            changed(LOGITS, 4, np.nan),
            MARKS,
            {"task": "multilabel"},
            r"`logits` must be finite; got NaN in row 4",
        ),
        (
            LOGITS,
            changed(MARKS, 5, np.nan),
            {"task": "multilabel"},
            r"`labels` must be finite; got NaN in row 5",
        ),
        (
            LOGITS,
            changed(MARKS, 5, -1),
            {"task": "multilabel"},
            r"`labels` .* lie in \[0, 1\]; got -1 in row 5",
        ),
        (LOGITS, changed(MARKS, 5, 2), {"task": "multilabel"}, r"got 2 in row 5. Hint: 1 where"),
        (
            LOGITS,
            MARKS,
            {"task": "multilabel", "from_logits": False},
            r"with from_logits=False, `logits` must lie in \[0, 1\]; got .* Hint: leave out",
        ),
        (LOGITS, MARKS[:, :1], {"task": "regression"}, r"shape of `logits`, \(7, 3\); got \(7, 1\)"),
        (LOGITS[:, 0], MARKS[:, :1], {"task": "regression"}, r"\(7,\); got \(7, 1\). Hint: labels.reshape"),
        (
            LOGITS,
            MARKS > 0,
            {"task": "regression"},
            "`labels` must be numbers; got bool. Hint: give the targets",
        ),
        (
            LOGITS[..., None],
            MARKS,
            {"task": "regression"},
            r"must have shape \(n,\) or \(n, d\); got \(7, 3, 1\)",
        ),
        (
            LOGITS,
            changed(MARKS, 2, np.inf),
            {"task": "regression"},
            "`labels` must be finite; got an inf.* row 2",
        ),
        (LOGITS, MARKS, {"task": "regression", "from_logits": False}, "`from_logits` must be left out"),
    ],
)
def test_input_that_does_not_fit_the_task(logits, labels, options, message):
    with pytest.raises(PruneKitError, match=message):
        el2n(logits, labels, **options)


def test_scores_that_a_task_does_not_define():
    for call in (
        lambda: cross_entropy(LOGITS, MARKS, task="regression"),
        lambda: entropy(LOGITS, task="regression"),
        lambda: margin(LOGITS, MARKS, task="regression"),
        lambda: logit_margin(LOGITS, MARKS, task="regression"),
        lambda: score_columns(LOGITS, MARKS, scores=("el2n", "entropy"), task="regression"),
    ):
        with pytest.raises(
            PruneKitError, match=r'task="regression", scores must be among el2n, error_l1, grand'
        ):
            call()
    with pytest.raises(
        PruneKitError, match=r'task="multilabel", scores must be among .*; got \'margin_sum\''
    ):
        margin(LOGITS, MARKS, reduce="sum", task="multilabel")
    with pytest.raises(PruneKitError, match=r"labels that are 0 or 1; row 3 of `labels` has another"):
        margin(LOGITS, changed(MARKS, 3, 0.5), task="multilabel")
    with pytest.raises(PruneKitError, match='"logit_margin" needs logits'):
        score_columns(MARKS, MARKS, scores=("logit_margin",), from_logits=False, task="multilabel")
    with pytest.raises(PruneKitError, match='probabilities=True needs task="multiclass"'):
        score_columns(LOGITS, MARKS, probabilities=True, task="multilabel")


def test_the_first_bad_row_is_named_across_blocks_and_chunks(monkeypatch):
    monkeypatch.setattr("prune_kit._host.GENERAL_ELEMENTS", 10)
    logits, labels = np.zeros((1000, 2), np.float32), np.zeros((1000, 2))
    labels[[770, 800]] = 2
    with pytest.raises(PruneKitError, match=r"got 2 in row 770\."):
        el2n(logits, labels, task="multilabel")
    lazy = el2n(dask.array.from_array(logits, chunks=(300, 2)), labels, task="multilabel")
    with pytest.raises(PruneKitError, match=r"got 2 in row 770\."):
        lazy.compute(scheduler="sync")
