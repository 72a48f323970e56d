import numpy as np
import pytest

from prune_kit.data import load_examples
from prune_kit.errors import PruneKitError, StoreError

RNG = np.random.default_rng(0)
X = RNG.random((6, 3)).astype(np.float32)
Y = np.array([0, 1, 2, 0, 1, 2])


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    "keys", [("x", "y"), ("inputs", "labels"), ("data", "targets"), ("features", "label"), ("X", "y")]
)
def test_usual_keys(tmp_path, keys):
    examples = load_examples(npz(tmp_path / "a.npz", **dict(zip(keys, (X, Y), strict=True))))
    np.testing.assert_array_equal(examples.inputs, X)
    np.testing.assert_array_equal(examples.labels, Y)
    np.testing.assert_array_equal(examples.ids, np.arange(6))


def test_ids_and_class_names(tmp_path):
    names = np.array(["b", "a", "c", "a", "b", "c"])
    examples = load_examples(npz(tmp_path / "a.npz", x=X, y=names, ids=np.arange(6) * 10))
    assert examples.ids.tolist() == [0, 10, 20, 30, 40, 50]
    assert examples.class_names == ("a", "b", "c")
    assert examples.labels.tolist() == [1, 0, 2, 0, 1, 2]


def test_as_keras_ships_them(tmp_path):
    images = RNG.integers(0, 256, (6, 5, 5), dtype=np.uint8)
    path = npz(
        tmp_path / "mnist.npz",
        x_test=images[:2],
        x_train=images,
        y_train=Y[:, None].astype(np.uint8),
        y_test=Y[:2],
    )
    train = load_examples(path)
    np.testing.assert_array_equal(train.inputs, images[..., None])
    assert train.labels.tolist() == Y.tolist()
    test = load_examples(path, input_column="x_test")
    assert len(test) == 2
    assert test.labels.tolist() == [0, 1]


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_become_last(tmp_path, channels):
    images = RNG.integers(0, 256, (6, 8, 8, channels), dtype=np.uint8)
    last = load_examples(npz(tmp_path / "a.npz", images=images, labels=Y))
    first = load_examples(npz(tmp_path / "b.npz", images=images.transpose(0, 3, 1, 2), labels=Y))
    np.testing.assert_array_equal(last.inputs, images)
    np.testing.assert_array_equal(first.inputs, images)
    assert load_examples(tmp_path / "a.npz", image_size=4).inputs.shape == (6, 4, 4, channels)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32, np.uint8, bool])
def test_features_become_float32(tmp_path, dtype):
    values = RNG.integers(0, 2, (6, 3)).astype(dtype)
    examples = load_examples(npz(tmp_path / "a.npz", x=values, y=Y.astype(np.float32)))
    assert examples.inputs.dtype == np.float32
    np.testing.assert_array_equal(examples.inputs, values)
    assert examples.labels.dtype == np.int64


def test_npy_is_memory_mapped(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    examples = load_examples(tmp_path / "x.npy", labels=tmp_path / "y.npy")
    assert isinstance(examples.inputs, np.memmap)
    np.testing.assert_array_equal(examples.inputs, X)
    assert examples.labels.tolist() == Y.tolist()
    assert examples.fingerprint == load_examples(npz(tmp_path / "a.npz", x=X, y=Y)).fingerprint


OBJECTS = np.array([{"a": 1}] * 6)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, r"no column of labels under a usual name .*; it has x\. Hint: .*label_column"),
        ({"y": Y}, "no column of inputs"),
        ({"x": X, "y": Y[:5]}, r"shape \(6,\), one per input.*got shape \(5,\)"),
        ({"x": X[:0], "y": Y[:0]}, r"got float32 of shape \(0, 3\)"),
        ({"x": X, "y": np.eye(6)}, r"got \(6, 6\)\. Hint: .*argmax"),
        ({"x": X, "y": Y - 1}, "0 or more; got -1"),
        ({"x": X, "y": np.where(Y, Y, np.nan)}, "missing or broken numbers"),
        ({"x": np.where(X > 0.9, np.nan, X), "y": Y}, "finite numbers"),
        ({"x": X[:, 0], "y": Y}, r"shape \(n, \.\.\.\), one row per example; got \(6,\)"),
        ({"x": np.array(5.0), "y": Y}, r"one row per example; got \(\)"),
        ({"x": X, "y": np.array(5)}, r"one class index per example; got \(\)"),
        ({"x": X.astype(str), "y": Y}, "inputs must be numbers"),
        ({"x": RNG.integers(0, 9, (6, 8, 8, 5), dtype=np.uint8), "y": Y}, "channels 1, 3 or 4"),
        ({"x": X, "y": Y, "ids": [1, 1, 2, 3, 4, 5]}, "1 occur more than once"),
        ({"x": OBJECTS, "y": Y}, "never unpickled"),
        ({"x_train": X, "labels": Y}, r"under a usual name \(y_train\)"),
    ],
)
def test_bad_arrays_are_named(tmp_path, arrays, message):
    with pytest.raises(PruneKitError, match=message):
        load_examples(npz(tmp_path / "a.npz", **arrays))


def test_nothing_is_unpickled(tmp_path):
    np.save(tmp_path / "x.npy", OBJECTS)
    np.save(tmp_path / "y.npy", Y)
    with pytest.raises(StoreError, match=r"not a readable NumPy file.*Hint: .*never unpickled"):
        load_examples(tmp_path / "x.npy", labels=tmp_path / "y.npy")


def test_files_that_are_not_what_they_claim(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    (tmp_path / "x.npy").rename(tmp_path / "x.npz")
    with pytest.raises(StoreError, match=r"a single array, not \.npz"):
        load_examples(tmp_path / "x.npz")
    npz(tmp_path / "z.npz", x=X).rename(tmp_path / "z.npy")
    with pytest.raises(StoreError, match=r"z\.npy is not a readable NumPy file: the magic string"):
        load_examples(tmp_path / "z.npy", labels=tmp_path / "y.npy")
    (tmp_path / "t.npz").write_text("hello")
    with pytest.raises(StoreError, match="not a readable NumPy file"):
        load_examples(tmp_path / "t.npz")
    with pytest.raises(PruneKitError, match=r"without labels\. Hint: give labels="):
        load_examples(tmp_path / "y.npy")
    with pytest.raises(StoreError, match=r"there is no file .*nowhere\.npy"):
        load_examples(tmp_path / "y.npy", labels=tmp_path / "nowhere.npy")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_files_damaged_at_random_are_read_or_named(tmp_path, suffix):
    """NumPy raises more kinds of exceptions on these than it says."""
    np.save(tmp_path / "y.npy", Y)
    path = tmp_path / f"x{suffix}"
    if suffix == ".npy":
        np.save(path, X)
    else:
        np.savez_compressed(path, x=X, y=Y)
    whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    rng = np.random.default_rng(4)
    failures = 0
    for _ in range(300):
        content = whole[: rng.integers(1, len(whole) + 1)].copy()
        content[rng.integers(len(content), size=3)] = rng.integers(256, size=3)
        path.write_bytes(content.tobytes())
        try:
            load_examples(path, labels=tmp_path / "y.npy" if suffix == ".npy" else None)
        except PruneKitError:
            failures += 1
    assert failures > 100
