"""Scores of sequences: against a loop over examples and tokens, written out."""

from __future__ import annotations

from pathlib import Path

import array_api_strict
import dask.array
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import prune_kit._token_blocks as blocks
from prune_kit.arrays import dtype_name, to_numpy
from prune_kit.errors import PruneKitError
from prune_kit.scores import el2n
from prune_kit.tokens import TOKEN_SCORES, el2n_tokens, reduce_tokens, token_columns

LIBRARIES = {
    "numpy": np.asarray,
    "strict": array_api_strict.asarray,
    "torch": torch.asarray,
    "jax": jnp.asarray,
    "dask": lambda x: dask.array.from_array(np.asarray(x), chunks=(3, *(2 for _ in np.shape(x)[1:]))),
}
REDUCTIONS = {"mean": lambda x: sum(x) / len(x), "sum": sum, "max": max}
PROPERTY = settings(max_examples=40, deadline=None, derandomize=True)


@pytest.fixture(params=LIBRARIES)
def library(request):
    return LIBRARIES[request.param]


def example(n=8, t=5, c=4, seed=0):
    """Sequences of every length from 1 to t, whose padding is NaN."""
    rng = np.random.default_rng(seed)
    logits = (3 * rng.standard_normal((n, t, c))).astype(np.float32)
    labels = rng.integers(0, c, (n, t))
    for row in range(n):
        labels[row, row % t + 1 :] = -100
    labels[-1, 0], labels[-1, 1] = -100, 0  # not at the end alone
    logits[labels == -100] = np.nan
    return logits, labels


def of_token(logits, label):
    """Every score of one token by its definition, in float64."""
    z = np.asarray(logits, np.float64)
    p = np.exp(z - z.max())
    p /= p.sum()
    others = np.arange(len(p)) != label
    errors = p - ~others
    return {
        "el2n": np.sqrt((errors**2).sum()),
        "error_l1": np.abs(errors).sum(),
        "margin": p[others].max() - p[label],
        "margin_sum": (p[others] - p[label]).sum(),
        "logit_margin": z[others].max() - z[label],
        "cross_entropy": -np.log(p[label]),
        "entropy": -(p * np.log(p)).sum(),
    }


def written_out(logits, labels, reduce, counted):
    rows = []
    for row in range(len(labels)):
        tokens = [of_token(logits[row, i], labels[row, i]) for i in range(labels.shape[1]) if counted[row, i]]
        rows.append({name: REDUCTIONS[reduce]([token[name] for token in tokens]) for name in TOKEN_SCORES})
    return {name: np.array([row[name] for row in rows]) for name in TOKEN_SCORES}


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_every_score_in_every_library(library, reduce):
    logits, labels = example()
    truth = written_out(logits, labels, reduce, labels != -100)
    got = token_columns(library(logits), library(labels), scores=TOKEN_SCORES, reduce=reduce)
    assert list(got) == list(TOKEN_SCORES)
    for name, column in got.items():
        assert type(column) is type(library(logits))
        assert column.shape == (len(labels),)
        assert dtype_name(column) == "float32"
        np.testing.assert_allclose(to_numpy(column), truth[name], rtol=1e-5, atol=1e-6, err_msg=name)
    single = el2n_tokens(library(logits), library(labels), reduce=reduce)
    np.testing.assert_array_equal(to_numpy(single), to_numpy(got["el2n"]))


def test_masks_and_ignored_labels_together(library):
    logits, labels = example()
    mask = np.random.default_rng(1).random(labels.shape) < 0.6
    mask[np.arange(len(labels)), (labels != -100).argmax(1)] = True
    truth = written_out(logits, labels, "mean", mask & (labels != -100))["el2n"]
    for kind in (bool, np.int64, np.uint8):
        got = el2n_tokens(library(logits), library(labels), mask=library(mask.astype(kind)))
        np.testing.assert_allclose(to_numpy(got), truth, rtol=1e-5)


def test_a_mask_alone():
    logits, labels = example()
    counted = labels != -100
    truth = written_out(logits, labels, "mean", counted)["el2n"]
    padded = np.where(counted, labels, 1)
    got = el2n_tokens(logits, padded, ignore_index=None, mask=counted)
    np.testing.assert_allclose(got, truth, rtol=1e-5)


def test_a_class_to_ignore():
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((6, 4, 3)), rng.integers(0, 3, (6, 4))
    labels[:, 2] = 1
    truth = written_out(logits, labels, "sum", labels != 0)["el2n"]
    np.testing.assert_allclose(el2n_tokens(logits, labels, ignore_index=0, reduce="sum"), truth)


@pytest.mark.parametrize("make", [np.asarray, torch.asarray])
def test_no_label_is_taken_for_one_to_ignore_by_its_bits(make):
    """As uint8, -100 would be 156."""
    logits = np.random.default_rng(0).standard_normal((1, 2, 200))
    labels = np.array([[156, 3]], np.uint8)
    truth = written_out(logits, labels, "sum", np.ones((1, 2), bool))["el2n"]
    np.testing.assert_allclose(to_numpy(el2n_tokens(make(logits), make(labels), reduce="sum")), truth)


@pytest.mark.parametrize("elements", [1, 5 * 4, 3 * 5 * 4, 1000])
@pytest.mark.parametrize("library", [np.asarray, torch.asarray])
def test_blocks_change_nothing(elements, library, monkeypatch):
    """Blocks of parts of a sequence, of one, of three with a ragged end, and of all."""
    logits, labels = example()
    want = token_columns(logits, labels, scores=TOKEN_SCORES)
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", elements)
    for name, column in token_columns(library(logits), library(labels), scores=TOKEN_SCORES).items():
        np.testing.assert_array_equal(to_numpy(column), want[name])


def test_a_mapped_file_is_left_as_it_was(tmp_path: Path, monkeypatch):
    logits, labels = example(n=2000)
    np.save(tmp_path / "logits.npy", logits)
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", 2000)
    mapped = np.load(tmp_path / "logits.npy", mmap_mode="r")
    np.testing.assert_array_equal(el2n_tokens(mapped, labels), el2n_tokens(logits, labels))
    np.testing.assert_array_equal(np.load(tmp_path / "logits.npy"), logits)


def test_probabilities(library):
    logits, labels = example()
    p = np.exp(logits - logits.max(2, keepdims=True))
    p /= p.sum(2, keepdims=True)
    truth = el2n_tokens(logits, labels)
    got = el2n_tokens(library(p), library(labels), from_logits=False)
    np.testing.assert_allclose(to_numpy(got), truth, rtol=1e-4)


@pytest.mark.parametrize("make", [lambda x: x.astype(np.float16), lambda x: torch.asarray(x).bfloat16()])
def test_half_precision_is_answered_in_float32(make):
    logits, labels = example()
    given = make(logits)
    truth = written_out(to_numpy(given), labels, "mean", labels != -100)["el2n"]
    got = el2n_tokens(given, labels)
    assert dtype_name(got) == "float32"
    np.testing.assert_allclose(to_numpy(got), truth, rtol=1e-5)


def test_sequences_of_one_token_score_as_examples():
    logits, labels = np.random.default_rng(0).standard_normal((9, 1, 6)), np.arange(9)[:, None] % 6
    want = el2n(logits[:, 0], labels[:, 0])
    for reduce in REDUCTIONS:
        np.testing.assert_array_equal(el2n_tokens(logits, labels, reduce=reduce), want)


@PROPERTY
@given(st.integers(1, 12), st.integers(1, 9), st.integers(0, 1000))
def test_reductions_agree_with_each_other_and_padding_changes_nothing(n, t, seed):
    rng = np.random.default_rng(seed)
    scores, mask = rng.random((n, t)), rng.random((n, t)) < 0.5
    mask[:, rng.integers(t)] = True
    got = {name: reduce_tokens(scores, mask, reduce=name) for name in REDUCTIONS}
    np.testing.assert_allclose(got["mean"] * mask.sum(1), got["sum"])
    assert np.all(got["max"] >= got["mean"] - 1e-12)
    wide = np.hstack([np.full((n, 2), np.nan), scores])
    for name, want in got.items():
        more = reduce_tokens(wide, np.hstack([np.zeros((n, 2), bool), mask]), reduce=name)
        np.testing.assert_allclose(more, want, rtol=1e-12)


def test_reduce_tokens_in_every_library(library):
    scores = np.array([[1.0, 3.0, np.nan], [-2.0, np.nan, -6.0]], np.float32)
    mask = ~np.isnan(scores)
    for reduce, truth in (("mean", [2, -4]), ("sum", [4, -8]), ("max", [3, -2])):
        got = reduce_tokens(library(scores), library(mask), reduce=reduce)
        assert type(got) is type(library(scores))
        assert dtype_name(got) == "float32"
        assert to_numpy(got).tolist() == truth


def test_tokens_with_several_labels_each():
    """The way that the documentation gives for other tasks than one class per token."""
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((3, 4, 5)), rng.integers(0, 2, (3, 4, 5))
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]])
    of_tokens = el2n(logits.reshape(-1, 5), labels.reshape(-1, 5), task="multilabel").reshape(3, 4)
    errors = np.sqrt(((1 / (1 + np.exp(-logits)) - labels) ** 2).sum(2))
    truth = [errors[row][mask[row] == 1].mean() for row in range(3)]
    np.testing.assert_allclose(reduce_tokens(of_tokens, mask), truth)


def test_an_example_without_tokens_is_named(library, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", 40)  # two examples
    logits, labels = example()
    labels[5] = -100
    with pytest.raises(PruneKitError, match=r"must have a token that counts; row 5 has none\. Hint: leave"):
        to_numpy(el2n_tokens(library(logits), library(labels)))
    with pytest.raises(PruneKitError, match="row 5 has none"):
        to_numpy(reduce_tokens(library(np.zeros(labels.shape)), library(labels != -100)))


def test_rows_of_messages_are_examples(library, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", 40)  # two examples
    logits, labels = example()
    for value, kind in ((np.nan, "NaN"), (np.inf, "an infinity")):
        broken = logits.copy()
        broken[6, 0, 1] = value
        with pytest.raises(PruneKitError, match=rf"`logits` must be finite; got {kind} in row 6\."):
            to_numpy(el2n_tokens(library(broken), library(labels)))
    for label in (-1, 4):
        wrong = labels.copy()
        wrong[6, 1] = label
        with pytest.raises(PruneKitError, match=rf"must lie in 0 ... 3, .* got {label} in row 6\."):
            to_numpy(el2n_tokens(library(np.nan_to_num(logits)), library(wrong)))
    probabilities = np.full_like(logits, 0.25)
    probabilities[6, 1] = [0.5, 0.5, 0.5, 0.5]
    with pytest.raises(PruneKitError, match=r"sum to 1; row 6 sums to 2"):
        to_numpy(el2n_tokens(library(probabilities), library(labels), from_logits=False))
    probabilities[6, 1] = [1.5, -0.5, 0, 0]
    with pytest.raises(PruneKitError, match=r"got -0.5 in row 6"):
        to_numpy(el2n_tokens(library(probabilities), library(labels), from_logits=False))


LOGITS, LABELS = np.zeros((3, 2, 4), np.float32), np.zeros((3, 2), int)


@pytest.mark.parametrize(
    ("logits", "labels", "options", "message"),
    [
        (LOGITS[0], LABELS, {}, r"shape \(n, t, c\); got \(2, 4\). Hint: el2n takes"),
        (LOGITS[:0], LABELS[:0], {}, r"must have an example, a token and two classes; got shape \(0, 2, 4\)"),
        (LOGITS[..., :1], LABELS, {}, r"two classes; got shape \(3, 2, 1\)"),
        (LOGITS > 0, LABELS, {}, "`logits` must be real numbers; got bool"),
        (
            LOGITS,
            LABELS[:, 0],
            {},
            r"`labels` must have shape \(3, 2\), one per token of `logits`; got \(3,\)",
        ),
        (LOGITS, LOGITS, {}, r"got \(3, 2, 4\). Hint: for soft labels"),
        (LOGITS, LABELS / 1, {}, "`labels` must be integers; got float64"),
        (LOGITS, LABELS, {"mask": LABELS[0]}, r"`mask` must be bool .* of shape \(3, 2\); got int64, \(2,\)"),
        (LOGITS, LABELS, {"mask": LABELS / 1}, "`mask` must be bool .* got float64"),
        (LOGITS, LABELS, {"mask": LABELS + 2}, "`mask` must be 0 or 1; row 0 has another"),
        (LOGITS, LABELS, {"reduce": "min"}, '`reduce` must be "mean", "sum" or "max"; got \'min\''),
        (LOGITS, LABELS, {"ignore_index": 1.5}, "`ignore_index` must be an integer or None; got 1.5"),
        (LOGITS, LABELS, {"ignore_index": True}, "`ignore_index` must be an integer or None; got True"),
    ],
)
def test_input_that_does_not_fit(logits, labels, options, message):
    with pytest.raises(PruneKitError, match=message):
        el2n_tokens(logits, labels, **options)


def test_names_and_numbers_that_do_not_fit():
    with pytest.raises(
        PruneKitError, match=r"among el2n, .*; got 'grand_last_layer'. Hint: the norm of a seq"
    ):
        token_columns(LOGITS, LABELS, scores=("el2n", "grand_last_layer"))
    with pytest.raises(PruneKitError, match=r"sequence of names; got 'el2n'"):
        token_columns(LOGITS, LABELS, scores="el2n")
    with pytest.raises(PruneKitError, match='"logit_margin" needs logits'):
        token_columns(LOGITS + 0.25, LABELS, scores=("logit_margin",), from_logits=False)
    with pytest.raises(PruneKitError, match=r"`scores` must be numbers of shape \(n, t\); got \(3, 2, 4\)"):
        reduce_tokens(LOGITS, LABELS)
    scores = np.zeros((3, 2))
    scores[1, 1] = np.nan
    with pytest.raises(PruneKitError, match="must not have NaN where a token counts; got one in row 1"):
        reduce_tokens(scores, np.ones((3, 2), bool))
    with pytest.raises(PruneKitError, match='`reduce` must be "mean"'):
        reduce_tokens(LABELS, LABELS, reduce="median")
