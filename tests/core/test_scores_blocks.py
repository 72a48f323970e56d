"""How logits in host memory are worked through: blocks, threads, memory."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

import prune_kit._host as host
from prune_kit._pages import PageRelease
from prune_kit.scores import el2n, score_columns

SCORES = ("el2n", "error_l1", "margin", "margin_sum", "cross_entropy", "entropy")


def example(n, num_classes, seed=0):
    rng = np.random.default_rng(seed)
    return 4 * rng.standard_normal((n, num_classes), dtype=np.float32), rng.integers(0, num_classes, n)


@pytest.mark.parametrize("num_classes", [2, 3, 10, 64, 65, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_do_not_depend_on_blocks(num_classes, dtype, monkeypatch):
    logits, labels = example(101, num_classes)
    logits = logits.astype(dtype)
    want = score_columns(logits, labels, scores=SCORES)
    for rows in (1, 2, 3, 7, 8, 50, 100, 101):  # 100 leaves a last block of one row
        monkeypatch.setattr(host, "BLOCK_ELEMENTS", rows * num_classes)
        for name, column in score_columns(logits, labels, scores=SCORES).items():
            np.testing.assert_array_equal(column, want[name], err_msg=f"{name}, blocks of {rows} rows")


@pytest.mark.parametrize("num_classes", [10, 100])
def test_bits_do_not_depend_on_threads(num_classes, monkeypatch):
    monkeypatch.setattr(host, "BLOCK_ELEMENTS", 7 * num_classes)
    monkeypatch.setattr(host, "SPAN_ELEMENTS", 21 * num_classes)
    logits, labels = example(1000, num_classes)
    want = host.host_columns(logits, labels, SCORES, from_logits=True, dtype=logits.dtype, threads=1)
    for threads in (2, 5):
        got = host.host_columns(logits, labels, SCORES, from_logits=True, dtype=logits.dtype, threads=threads)
        for name in SCORES:
            np.testing.assert_array_equal(got[name], want[name])


@pytest.mark.parametrize("num_classes", [10, 100])
def test_a_row_scores_the_same_alone(num_classes):
    logits, labels = example(50, num_classes)
    whole = el2n(logits, labels)
    alone = [el2n(logits[i : i + 1], labels[i : i + 1])[0] for i in range(50)]
    np.testing.assert_array_equal(whole, alone)


@pytest.mark.parametrize("num_classes", [10, 100])
def test_any_memory_layout(num_classes):
    logits, labels = example(60, num_classes)
    want = el2n(logits, labels)
    np.testing.assert_array_equal(el2n(np.asfortranarray(logits), labels), want)
    np.testing.assert_array_equal(el2n(logits[::-1], labels[::-1]), want[::-1])
    np.testing.assert_array_equal(el2n(np.repeat(logits, 2, axis=1)[:, ::2], labels), want)
    frozen = logits.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(el2n(frozen, labels), want)


def test_many_classes_do_not_lose_digits():
    logits, labels = example(3, 200_000)
    wide = logits.astype(np.float64)
    p = np.exp(wide - wide.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p[np.arange(3), labels] -= 1
    np.testing.assert_allclose(el2n(logits, labels), np.linalg.norm(p, axis=1), rtol=1e-6)


def memory_of_its_own():
    """Anonymous memory of this process in bytes, without pages of mapped files; and all of it."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024, int(fields["VmRSS"].split()[0]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_memory_mapped_file_costs_no_more_than_blocks(tmp_path, monkeypatch, dtype):
    size, num_classes = 200_000_000, 500
    n = size // (num_classes * np.dtype(dtype).itemsize)
    logits = np.lib.format.open_memmap(tmp_path / "logits.npy", "w+", dtype, (n, num_classes))
    logits[:1000] = example(1000, num_classes)[0]
    logits.flush()
    del logits  # the rest is a hole in the file: zeros
    mapped = np.load(tmp_path / "logits.npy", mmap_mode="r")
    labels = np.arange(n) % num_classes
    el2n(mapped[:10], labels[:10])
    peaks = []
    evaluate = host.evaluate

    def watched(*arguments, **options):
        peaks.append(memory_of_its_own())
        return evaluate(*arguments, **options)

    monkeypatch.setattr(host, "evaluate", watched)
    own, total = memory_of_its_own()
    scores = el2n(mapped, labels)
    assert len(peaks) > 20
    assert max(peak for peak, _ in peaks) - own < 40e6
    assert max(peak for _, peak in peaks) - total < 100e6
    np.testing.assert_array_equal(scores[:1000], el2n(np.array(mapped[:1000]), labels[:1000]))
    np.testing.assert_allclose(scores[1000:], np.sqrt((1 - 1 / 500) ** 2 + 499 / 500**2), rtol=1e-6)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_a_mapped_file_and_its_changes_survive(tmp_path, mode):
    logits, labels = example(5000, 100)
    path = tmp_path / "logits.npy"
    np.save(path, logits)
    mapped = np.load(path, mmap_mode=mode)
    changed = logits.copy()
    if mode != "r":
        mapped[::7] = changed[::7] = 1.0  # in memory alone where the mode is "c"
    for view, rows in (
        (mapped, slice(None)),
        (np.asarray(mapped)[1:], slice(1, None)),
        (mapped[::2], slice(None, None, 2)),
    ):
        np.testing.assert_array_equal(el2n(view, labels[rows]), el2n(changed[rows], labels[rows]))
    np.testing.assert_array_equal(mapped, changed)
    del mapped, view
    np.testing.assert_array_equal(np.load(path), logits if mode == "c" else changed)


def test_pages_are_handed_back_of_shared_maps_alone(tmp_path):
    path = tmp_path / "values.npy"
    np.save(path, np.zeros((4 * mmap.PAGESIZE, 10), np.float32))
    assert PageRelease(np.load(path, mmap_mode="r")).map is not None
    assert PageRelease(np.asarray(np.load(path, mmap_mode="r"))[5:]).map is not None
    assert PageRelease(np.load(path, mmap_mode="c")).map is None
    assert PageRelease(np.load(path)).map is None
    assert PageRelease(np.load(path, mmap_mode="r").T).map is None
