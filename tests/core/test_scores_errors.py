"""What bad input gets from the functions of `scores`, in every library."""

from __future__ import annotations

import array_api_strict
import dask.array
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from prune_kit.errors import PruneKitError
from prune_kit.scores import (
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

LIBRARIES = {
    "numpy": np.asarray,
    "strict": array_api_strict.asarray,
    "torch": torch.asarray,
    "jax": jnp.asarray,
}
LOGITS = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)
LABELS = np.arange(7) % 5


@pytest.fixture(params=LIBRARIES)
def library(request):
    return LIBRARIES[request.param]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 4])
def test_the_first_row_that_is_not_finite_is_named(library, value, column):
    logits = LOGITS.copy()
    logits[4, column] = value  # once the label's own column, once another
    logits[6, 0] = np.nan
    for call in (
        lambda x: el2n(x, LABELS),
        lambda x: margin(x, LABELS, reduce="sum"),
        entropy,
        predicted,
        lambda x: score_columns(x, LABELS, scores=("cross_entropy", "entropy")),
    ):
        with pytest.raises(PruneKitError, match=r"`logits` must be finite; got .* in row 4\."):
            call(library(logits))


def test_float16_logits_that_overflowed(library):
    with np.errstate(over="ignore"):
        logits = (LOGITS * 1e5).astype(np.float16)
    if library is array_api_strict.asarray:
        pytest.skip("the standard has no float16")
    with pytest.raises(PruneKitError, match="float16 overflows above 65504"):
        el2n(library(logits), LABELS)


@pytest.mark.parametrize(
    ("label", "message"), [(-1, "got -1 in row 3"), (5, "got 5 in row 3. Hint: classes count")]
)
def test_labels_out_of_range(library, label, message):
    labels = LABELS.copy()
    labels[3] = label
    with pytest.raises(PruneKitError, match=message):
        el2n(library(LOGITS), library(labels))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:6], r"must have shape \(7,\), one per row of `logits`, or \(7, 5\); got \(6,\)"),
        (LABELS.astype(np.float32), r"must be integers; got float32"),
        (np.eye(5, dtype=np.float32)[LABELS] / 2, r"row 0 sums to 0\.5"),
    ],
)
def test_labels_that_do_not_fit(library, labels, message):
    with pytest.raises(PruneKitError, match=message):
        el2n(library(LOGITS), library(labels))


@pytest.mark.parametrize("shape", [(7,), (7, 5, 2), (0, 5), (7, 0), (7, 1)])
def test_logits_of_another_shape(library, shape):
    with pytest.raises(PruneKitError, match="`logits` must"):
        el2n(library(np.zeros(shape, np.float32)), library(LABELS))


def test_logits_given_as_probabilities(library):
    with pytest.raises(PruneKitError, match="look like logits"):
        el2n(library(LOGITS), library(LABELS), from_logits=False)


def test_scores_of_one_class_refuse_soft_labels(library):
    soft = np.full((7, 5), 0.2, np.float32)
    for call in (margin, p_label, lambda x, y: margin(x, y, reduce="sum")):
        with pytest.raises(PruneKitError, match=r"must have one class per example; row 0 .* Hint: use el2n"):
            call(library(LOGITS), library(soft))
    cross_entropy(library(LOGITS), library(soft))


def test_options_out_of_range():
    with pytest.raises(PruneKitError, match="`ord` must be 1 or 2; got 3"):
        error_norm(LOGITS, LABELS, ord=3)
    with pytest.raises(PruneKitError, match='`reduce` must be "max" or "sum"; got \'mean\''):
        margin(LOGITS, LABELS, reduce="mean")
    with pytest.raises(PruneKitError, match=r"must be among el2n, error_l1, .*; got 'el3n', 'x'\. Hint: "):
        score_columns(LOGITS, LABELS, scores=("el2n", "el3n", "x"))
    with pytest.raises(PruneKitError, match=r"sequence of names; got 'el2n'. Hint: \('el2n',\)"):
        score_columns(LOGITS, LABELS, scores="el2n")
    with pytest.raises(PruneKitError, match="must have `features`; got None"):
        score_columns(LOGITS, LABELS, scores=("grand_last_layer",))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones((6, 2)), r"shape \(7, d\), one row per row of `logits`; got \(6, 2\)"),
        (np.ones(7), r"got \(7,\)"),
        (np.ones((7, 0)), r"got \(7, 0\)"),
        (np.ones((7, 2), complex), "complex128"),
        (np.vstack([np.ones((5, 2)), [[np.nan, 1]], [[1, 1]]]), "`features` must be finite; got .* row 5"),
    ],
)
def test_features_that_do_not_fit(features, message):
    with pytest.raises(PruneKitError, match=message):
        grand_last_layer(LOGITS, LABELS, features)


def test_dask_looks_at_values_when_it_computes():
    logits = LOGITS.copy()
    logits[5, 1] = np.nan
    lazy = el2n(dask.array.from_array(logits, chunks=(2, 5)), LABELS)
    with pytest.raises(PruneKitError, match="NaN in row 5"):
        lazy.compute(scheduler="sync")
    labels = LABELS.copy()
    labels[6] = 9
    lazy = el2n(dask.array.from_array(LOGITS, chunks=(2, 5)), labels)
    with pytest.raises(PruneKitError, match="got 9 in row 6"):
        lazy.compute(scheduler="sync")


def test_dask_checks_shapes_at_once():
    with pytest.raises(PruneKitError, match=r"got \(6,\)"):
        el2n(dask.array.from_array(LOGITS), LABELS[:6])


def test_of_bad_rows_in_several_blocks_the_first_is_named(monkeypatch):
    monkeypatch.setattr("prune_kit._host.BLOCK_ELEMENTS", 10)
    monkeypatch.setattr("prune_kit._host.SPAN_ELEMENTS", 20)
    monkeypatch.setattr("prune_kit._host.available_cores", lambda: 4)
    logits = np.zeros((1000, 2), np.float32)
    logits[[77, 500, 999]] = np.inf
    with pytest.raises(PruneKitError, match=r"row 77\."):
        el2n(logits, np.zeros(1000, int))
