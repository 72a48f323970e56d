"""The same scores in every library, and each in its own library, device and float type."""

from __future__ import annotations

import array_api_strict
import dask.array
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import prune_kit._columns as columns_module
from prune_kit._columns import device_columns
from prune_kit.arrays import dtype_name, to_numpy
from prune_kit.scores import SCORE_NAMES, el2n, entropy, grand, grand_last_layer, predicted, score_columns


def as_dask(x):
    x = np.asarray(x)
    # Chunks that are ragged in rows and cut through the classes too.
    return dask.array.from_array(x, chunks=(4, *(3 for _ in x.shape[1:])))


LIBRARIES = {
    "numpy": np.asarray,
    "strict": array_api_strict.asarray,
    "torch": torch.asarray,
    "jax": jnp.asarray,
    "dask": as_dask,
}
SMALLEST = float(np.finfo(np.float32).tiny)  # below it, float32 has fewer digits
DIRECT = tuple(name for name in SCORE_NAMES if name != "grand_last_layer")


def example(num_classes=10, n=23):
    rng = np.random.default_rng(0)
    logits = (rng.standard_normal((n, num_classes)) * rng.choice([1, 10, 40], (n, 1))).astype(np.float32)
    return logits, rng.integers(0, num_classes, n), rng.standard_normal((n, 6)).astype(np.float32)


@pytest.fixture(params=LIBRARIES)
def library(request):
    return LIBRARIES[request.param]


def assert_close(column, truth, name):
    if name == "predicted":
        np.testing.assert_array_equal(to_numpy(column), truth)
    else:
        np.testing.assert_allclose(to_numpy(column), truth, rtol=1e-5, atol=SMALLEST, err_msg=name)


@pytest.mark.parametrize("num_classes", [2, 10, 100])
def test_every_score_agrees_with_numpy_in_float64(library, num_classes):
    logits, labels, features = example(num_classes)
    truth = score_columns(
        logits.astype(np.float64), labels, scores=SCORE_NAMES, features=features.astype(np.float64)
    )
    given = library(logits)
    got = score_columns(given, library(labels), scores=SCORE_NAMES, features=library(features))
    assert list(got) == list(truth)
    for name, column in got.items():
        assert type(column) is type(given)
        assert column.shape == (len(labels),)
        if name != "predicted":
            assert dtype_name(column) == "float32"
        assert_close(column, truth[name], name)


def test_probabilities_and_soft_labels_in_every_library(library):
    logits, labels, _ = example()
    rng = np.random.default_rng(1)
    soft = rng.dirichlet(np.ones(10), len(labels))
    soft[3] = np.eye(10)[4]
    probabilities = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    truth = np.linalg.norm(probabilities - soft, axis=1)
    np.testing.assert_allclose(to_numpy(el2n(library(logits), library(soft))), truth, rtol=1e-5)
    got = el2n(library(probabilities.astype(np.float32)), library(soft), from_logits=False)
    np.testing.assert_allclose(to_numpy(got), truth, rtol=1e-5)
    one_hot = np.eye(10, dtype=np.float32)[labels]
    np.testing.assert_array_equal(
        to_numpy(el2n(library(logits), library(one_hot))), to_numpy(el2n(library(logits), library(labels)))
    )


@pytest.mark.parametrize("make", [torch.asarray, jnp.asarray, array_api_strict.asarray])
@pytest.mark.parametrize("num_classes", [2, 10, 100])
def test_the_way_that_accelerators_take(make, num_classes, monkeypatch):
    monkeypatch.setattr(columns_module, "DEVICE_BLOCK_ELEMENTS", 7 * num_classes)  # several ragged blocks
    logits, labels, _ = example(num_classes)
    truth = score_columns(logits.astype(np.float64), labels, scores=DIRECT)
    got = device_columns(make(logits), make(labels), tuple(truth), from_logits=True)
    assert set(got) == set(truth)
    for name, column in got.items():
        assert type(column) is type(make(logits))
        if make is jnp.asarray and name == "margin_sum":  # no float64 in JAX: digits cancel near zero
            np.testing.assert_allclose(to_numpy(column), truth[name], rtol=1e-5, atol=1e-5)
        else:
            assert_close(column, truth[name], name)


def test_results_lie_on_the_device_of_the_logits():
    logits, labels, features = example()
    device = array_api_strict.Device("device1")
    got = score_columns(
        array_api_strict.asarray(logits, device=device), labels, scores=SCORE_NAMES, features=features
    )
    assert all(column.device == device for column in got.values())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_tensors_stay_there():
    logits, labels, features = example()
    truth = score_columns(logits, labels, scores=SCORE_NAMES, features=features)
    for where in ("cuda", "cpu"):
        got = score_columns(
            torch.asarray(logits, device="cuda"),
            torch.asarray(labels, device=where),
            scores=SCORE_NAMES,
            features=torch.asarray(features, device="cuda"),
        )
        for name, column in got.items():
            assert column.device.type == "cuda"
            assert_close(column, truth[name], name)


@pytest.mark.parametrize("other", ["numpy", "torch", "jax", "strict", "dask"])
def test_labels_of_another_library_are_brought_to_the_logits(library, other):
    logits, labels, features = example()
    got = grand_last_layer(library(logits), LIBRARIES[other](labels), LIBRARIES[other](features))
    assert type(got) is type(library(logits))
    truth = grand_last_layer(logits.astype(np.float64), labels, features.astype(np.float64))
    np.testing.assert_allclose(to_numpy(got), truth, rtol=1e-5, atol=SMALLEST)


def test_lists_and_small_integer_types():
    logits, labels, _ = example()
    want = el2n(logits, labels)
    np.testing.assert_array_equal(el2n(logits, labels.tolist()), want)
    for dtype in (np.uint8, np.int32, np.uint64, ">i4"):
        np.testing.assert_array_equal(el2n(logits, labels.astype(dtype)), want)
    np.testing.assert_array_equal(el2n(logits.astype(">f4"), labels), want)
    np.testing.assert_allclose(el2n(logits.tolist(), labels), want, rtol=1e-5)
    assert el2n([[1, 2], [3, 0]], [0, 1]).dtype == np.float64


@pytest.mark.parametrize(
    "half",
    [
        lambda x: x.astype(np.float16),
        lambda x: torch.asarray(x).half(),
        lambda x: torch.asarray(x).bfloat16(),
        lambda x: jnp.asarray(x, jnp.float16),
        lambda x: jnp.asarray(x, jnp.bfloat16),
        lambda x: np.asarray(jnp.asarray(x, jnp.bfloat16)),
        lambda x: as_dask(x.astype(np.float16)),
    ],
)
def test_half_precision_is_computed_and_answered_in_float32(half, monkeypatch):
    monkeypatch.setattr(columns_module, "DEVICE_BLOCK_ELEMENTS", 70)
    logits, labels, features = example()
    logits = logits / 4  # within the range of float16
    given = half(logits)
    exact = to_numpy(given).astype(np.float64)  # the rounded logits, which is what was given
    truth = score_columns(exact, labels, scores=SCORE_NAMES, features=features)
    got = score_columns(given, labels, scores=SCORE_NAMES, features=features)
    for name, column in got.items():
        assert type(column) is type(given)
        assert name == "predicted" or dtype_name(column) == "float32"
        assert_close(column, truth[name], name)


def test_tensors_that_require_gradients():
    logits, labels, features = example()
    tensor = torch.asarray(logits).requires_grad_()
    got = score_columns(tensor, labels, scores=SCORE_NAMES, features=torch.asarray(features).requires_grad_())
    assert not any(column.requires_grad for column in got.values())
    np.testing.assert_array_equal(got["el2n"].numpy(), el2n(logits, labels))
    assert tensor.requires_grad
    assert tensor.grad is None


def test_input_is_left_as_it_was(library):
    logits, labels, features = example()
    given = [library(each.copy()) for each in (logits, labels, features)]
    to_numpy(score_columns(given[0], given[1], scores=SCORE_NAMES, features=given[2])["el2n"])
    for before, after in zip((logits, labels, features), given, strict=True):
        np.testing.assert_array_equal(to_numpy(after), before)


def test_dask_is_lazy_and_computes_each_chunk_once():
    logits, labels, _ = example()
    calls = []

    def chunk(block):
        if block.size:
            calls.append(block.shape)
        return block

    lazy = dask.array.from_array(logits, chunks=(8, 10)).map_blocks(chunk, dtype=np.float32, meta=logits[:0])
    got = score_columns(lazy, labels, scores=DIRECT)
    assert calls == []
    assert got["el2n"].chunks == ((8, 8, 7),)
    values = dask.compute(got, scheduler="sync")[0]
    assert sorted(calls) == [(7, 10), (8, 10), (8, 10)]
    want = score_columns(logits, labels, scores=DIRECT)
    for name, column in want.items():
        np.testing.assert_array_equal(values[name], column)
        assert got[name].dtype == column.dtype


def test_functions_without_labels_in_every_library(library):
    logits, _, _ = example()
    np.testing.assert_array_equal(to_numpy(predicted(library(logits))), logits.argmax(1))
    np.testing.assert_allclose(to_numpy(entropy(library(logits))), entropy(logits.astype(float)), rtol=1e-5)


def test_grand_in_every_library(library):
    rng = np.random.default_rng(0)
    weight, bias = (
        rng.standard_normal((9, 4, 5)).astype(np.float32),
        rng.standard_normal(9).astype(np.float32),
    )
    truth = np.sqrt((weight.astype(float) ** 2).sum((1, 2)) + bias.astype(float) ** 2)
    got = grand([library(weight), library(bias)])
    assert type(got) is type(library(bias))
    assert dtype_name(got) == "float32"
    np.testing.assert_allclose(to_numpy(got), truth, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_class_probabilities_in_every_library(library, dtype):
    logits, labels, _ = example()
    logits = (20 * logits).astype(dtype)
    got = score_columns(library(logits), library(labels), probabilities=True)
    assert list(got) == ["predicted", "p_label", "el2n", "probabilities"]
    assert type(got["probabilities"]) is type(library(logits))
    assert dtype_name(got["probabilities"]) == "float32"
    shares = np.exp(logits.astype(float) - logits.max(1, keepdims=True))
    truth = shares / shares.sum(1, keepdims=True)
    np.testing.assert_allclose(to_numpy(got["probabilities"]), truth, rtol=1e-4, atol=1e-37)
    again = score_columns(library(truth), library(labels), from_logits=False, probabilities=True)
    np.testing.assert_allclose(to_numpy(again["probabilities"]), truth, rtol=1e-4, atol=1e-37)


def test_class_probabilities_of_half_logits_are_computed_in_float32():
    logits, labels, _ = example()
    half = logits.astype(np.float16)
    want = score_columns(half.astype(np.float32), labels, probabilities=True)["probabilities"]
    for given in (half, torch.asarray(half)):
        got = score_columns(given, labels, probabilities=True)["probabilities"]
        assert dtype_name(got) == "float32"
        np.testing.assert_allclose(to_numpy(got), want, rtol=1e-6)


def test_class_probabilities_require_no_gradients():
    logits, labels, _ = example()
    got = score_columns(torch.asarray(logits).requires_grad_(), labels, probabilities=True)
    assert not got["probabilities"].requires_grad
