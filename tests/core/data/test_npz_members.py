import zipfile

import numpy as np
import pytest

from prune_kit.data import open_examples
from prune_kit.data.npz_members import open_member
from prune_kit.errors import PruneKitError, StoreError

RNG = np.random.default_rng(0)
ARRAYS = {
    "x": RNG.random((50, 3)),
    "with a longer name": RNG.integers(0, 9, (7, 2, 2)).astype(">i2"),
    "fortran": np.asfortranarray(RNG.random((6, 5), dtype=np.float32)),
    "scalar": np.array(5),
}


@pytest.mark.parametrize("key", ARRAYS)
def test_stored_arrays_are_mapped(tmp_path, key):
    np.savez(tmp_path / "x.npz", **ARRAYS)
    opening = open_member(tmp_path / "x.npz", key)
    assert isinstance(opening(), np.memmap)
    np.testing.assert_array_equal(opening(), ARRAYS[key])
    assert opening().dtype == ARRAYS[key].dtype
    assert opening() is not opening()


def test_other_arrays_are_loaded(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", **ARRAYS)
    np.savez(tmp_path / "empty.npz", x=np.empty((0, 3)))
    for name in ("x", "empty"):
        opening = open_member(tmp_path / f"{name}.npz", "x")
        assert not isinstance(opening(), np.memmap)
        assert opening() is opening()
    np.testing.assert_array_equal(open_member(tmp_path / "x.npz", "x")(), ARRAYS["x"])


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.array([{}]))
    with pytest.raises(ValueError, match="allow_pickle"):
        open_member(tmp_path / "x.npz", "x")


def test_what_is_no_array_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x", b"no array")
        archive.writestr("y.npy", b"none either")
    with pytest.raises(PruneKitError):
        open_examples(tmp_path / "x.npz")


def test_an_array_that_is_shorter_than_it_says(tmp_path):
    np.save(tmp_path / "x.npy", ARRAYS["x"])
    content = (tmp_path / "x.npy").read_bytes()
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", content[:-80])
        archive.writestr("y.npy", content)  # so that a map would find enough bytes after it
    with pytest.raises(StoreError, match="not a readable NumPy file"):
        open_examples(tmp_path / "x.npz", needs_labels=False)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_files_damaged_at_random_are_read_or_named(tmp_path, save):
    save(tmp_path / "x.npz", x=RNG.random((20, 3)), y=np.zeros(20, int))
    path = tmp_path / "x.npz"
    whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    rng = np.random.default_rng(4)
    failures = 0
    for _ in range(300):
        content = whole[: rng.integers(1, len(whole) + 1)].copy()
        content[rng.integers(len(content), size=3)] = rng.integers(256, size=3)
        path.unlink()
        path.write_bytes(content.tobytes())
        try:
            for _ in open_examples(path).batches(7):
                pass
        except PruneKitError:
            failures += 1
    assert failures > 100
