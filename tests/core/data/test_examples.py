import numpy as np
import pytest

from prune_kit.data import Examples
from prune_kit.errors import PruneKitError


def examples(**changes):
    fields = {
        "inputs": np.arange(12, dtype=np.float32).reshape(4, 3),
        "labels": np.array([0, 1, 1, 0]),
        "ids": np.array([30, 10, 20, 40]),
        "class_names": None,
        "source": "made up",
    }
    return Examples(**{**fields, **changes})


def test_rows_are_taken_together():
    taken = examples().take([2, 0])
    assert taken.inputs.tolist() == [[6, 7, 8], [0, 1, 2]]
    assert taken.labels.tolist() == [1, 0]
    assert taken.ids.tolist() == [20, 30]
    assert len(taken) == 2
    assert taken.num_classes == 2


def test_ids_are_found():
    assert examples().positions_of([10, 40, 30]).tolist() == [1, 3, 0]
    named = examples(ids=np.array(["b", "aa", "c", "d"]))
    assert named.positions_of(["d", "aa"]).tolist() == [3, 1]


def test_the_number_of_classes_is_that_of_their_names():
    assert examples().num_classes == 2
    assert examples(class_names=("a", "b", "c")).num_classes == 3


def test_the_repr_is_one_line():
    assert repr(examples()) == "Examples(4 examples of 3 in 2 classes from made up)"


def test_the_fingerprint_is_that_of_the_data(tmp_path):
    one = examples()
    assert len(one.fingerprint) == 64
    assert one.fingerprint == examples(source="elsewhere").fingerprint
    np.save(tmp_path / "x.npy", one.inputs)
    mapped = examples(inputs=np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert mapped.fingerprint == one.fingerprint
    fortran = examples(inputs=np.asfortranarray(one.inputs))
    assert fortran.fingerprint == one.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": np.arange(1, 13, dtype=np.float32).reshape(4, 3)},
        {"inputs": np.arange(12, dtype=np.float32).reshape(4, 3, 1)},
        {"labels": np.array([0, 1, 1, 1])},
        {"ids": np.array([30, 10, 20, 41])},
        {"ids": np.array(["30", "10", "20", "40"])},
    ],
)
def test_any_change_changes_the_fingerprint(change):
    assert examples(**change).fingerprint != examples().fingerprint


def test_strings_have_the_fingerprint_of_what_they_say():
    wide = examples(ids=np.array(["a", "b", "c", "d"], dtype="U50"))
    assert wide.fingerprint == examples(ids=np.array(["a", "b", "c", "d"])).fingerprint
    # The same characters, otherwise divided.
    one, other = (examples(ids=np.array(ids)) for ids in (["ab", "c", "x", "y"], ["a", "bc", "x", "y"]))
    assert one.fingerprint != other.fingerprint


def test_bad_numbers_are_found_beyond_the_first_block():
    inputs = np.zeros((3000, 4096), dtype=np.float32)  # 49 MB: several blocks
    inputs[2900, 17] = np.nan
    with pytest.raises(PruneKitError, match=r"finite numbers.*with the ids 2900"):
        Examples(inputs, np.zeros(3000, dtype=np.int64), np.arange(3000), None, "made up")


NAN = np.array([[1, 2, 3], [1, np.nan, 3], [1, 2, 3], [np.inf, 2, 3]], dtype=np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: examples(inputs=np.zeros((4, 3))), "uint8 images.*or float32.*got float64"),
        (lambda: examples(inputs=np.zeros(4, np.float32)), r"got float32 of shape \(4,\)"),
        (lambda: examples(inputs=np.zeros((0, 3), np.float32)), r"got float32 of shape \(0, 3\)"),
        (lambda: examples(inputs=np.zeros((4, 3), np.uint8)), r"got uint8 of shape \(4, 3\)"),
        (lambda: examples(labels=np.zeros(3, np.int64)), r"shape \(4,\), one per input.*got shape \(3,\)"),
        (lambda: examples(labels=np.zeros(4, np.int32)), "int64; got .*int32"),
        (lambda: examples(labels=np.array([0, -1, 0, 1])), "0 or more; got -1"),
        (lambda: examples(class_names=("a",)), "below 1, the number of class names; got 1"),
        (lambda: examples(ids=np.array([1, 2, 2, 1])), "1, 2 occur more than once"),
        (lambda: examples(inputs=NAN), "with the ids 10, 40"),
        (lambda: examples().take([4]), "from 0 to 3; got 4 to 4"),
        (lambda: examples().take([-1]), "got -1 to -1"),
        (lambda: examples().take([]), "k at least 1"),
        (lambda: examples().take([True, False]), r"dtype bool\. Hint: .*flatnonzero"),
        (lambda: examples().take([1, 1]), "10 occur more than once"),
        (lambda: examples().positions_of([10, 11, 99]), "no example with the ids 11, 99"),
        (lambda: examples().positions_of(["a"]), "are integers; got strings"),
        (lambda: examples().resized(8), "features, not images"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(PruneKitError, match=message):
        call()
