"""The kept examples of all kinds of data."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import prune_kit as pk
from prune_kit.data import Examples
from prune_kit.errors import PruneKitError
from prune_kit_tensorflow.identified_data import with_ids
from prune_kit_tensorflow.subset import subset

X = np.arange(20, dtype=np.float32).reshape(10, 2)
Y = np.arange(10) % 3
NAMES = np.array([f"n{i}" for i in range(10)])
KEPT = [7, 2, 5]


def pipeline(*more):
    return tf.data.Dataset.from_tensor_slices((X, Y, *more))


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays):
        super().__init__(workers=2)
        self.arrays = arrays

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return tuple(each[4 * index : 4 * index + 4] for each in self.arrays)


def rows(data):
    """The examples of a data set, by position."""
    firsts = [np.atleast_2d(x) for x, *_ in data]
    return (np.concatenate(firsts)[:, 0] / 2).astype(int).tolist()


@pytest.mark.parametrize("kept", [KEPT, np.array(KEPT, np.uint8), tf.constant(KEPT)])
def test_arrays(kept):
    x, y = subset((X, Y), kept)
    np.testing.assert_array_equal(x, X[KEPT])
    np.testing.assert_array_equal(y, Y[KEPT])
    x, _, ids = subset([tf.constant(X), Y, NAMES], kept)
    assert tf.is_tensor(x)
    np.testing.assert_array_equal(x, X[KEPT])
    np.testing.assert_array_equal(ids, NAMES[KEPT])


def test_examples():
    examples = Examples(X, Y, NAMES, ("a", "b", "c"), "test")
    assert subset(examples, ["n7", "n2"]).ids.tolist() == ["n7", "n2"]
    assert subset(examples, KEPT).ids.tolist() == ["n7", "n2", "n5"]


@pytest.mark.parametrize("batch", [None, 4])
def test_pipelines_keep_their_order_and_the_size_of_their_batches(batch):
    data = pipeline() if batch is None else pipeline().batch(batch)
    kept = subset(data, [9, 2, 5, 0, 7])
    assert rows(kept) == [0, 2, 5, 7, 9]
    assert kept.element_spec == data.element_spec
    assert len(kept) == (5 if batch is None else 2)
    for _ in range(2):  # in each epoch again
        assert [len(np.atleast_1d(y)) for _, y in kept] == ([1] * 5 if batch is None else [4, 1])
    assert sorted(rows(subset(pipeline(), KEPT).shuffle(3))) == sorted(KEPT)


def test_a_pipeline_that_shuffles_is_looked_up_by_ids_that_travel():
    for data in (pipeline(NAMES).shuffle(10), pipeline(NAMES).shuffle(10).batch(3)):
        for _ in range(2):
            assert sorted(rows(subset(data, ["n7", "n2", "n5"]))) == [2, 5, 7]
        with pytest.raises(PruneKitError, match=r"calls shuffle\(\) already"):
            subset(data, KEPT)
    table = pk.ScoreTable(np.array(KEPT), Y[KEPT], {"score": np.zeros(3)})
    kept = subset(with_ids(pipeline()).shuffle(10).batch(4), table)
    assert sorted(int(i) for ids, _ in kept for i in ids) == sorted(KEPT)


def test_ids_of_all_examples(tmp_path):
    (tmp_path / "kept.txt").write_text("n7\nn2\n")
    assert rows(subset(pipeline(), tmp_path / "kept.txt", ids=NAMES)) == [2, 7]
    assert rows(subset(pipeline(), [107, 102], ids=np.arange(10) + 100)) == [2, 7]
    np.testing.assert_array_equal(subset((X, Y, NAMES), tmp_path / "kept.txt")[1], Y[[7, 2]])


def test_a_py_dataset():
    kept = subset(Batches(X, Y), [9, 2, 5, 0, 7])
    assert rows(kept) == [0, 2, 5, 7, 9]
    assert ([len(y) for _, y in kept], kept.workers) == ([4, 1], 2)
    assert rows(subset(Batches(X, Y, NAMES), ["n7", "n2"])) == [2, 7]
    assert rows(subset(Batches(tf.constant(X), Y), KEPT)) == [2, 5, 7]


@pytest.mark.parametrize(
    ("data", "kept", "message"),
    [
        (pipeline(), [], "must name at least one example"),
        (pipeline(), [1, 1], "must name each example once; 1"),
        (pipeline(), [10], "must be from 0 to 9, the positions of the 10 examples; got 10"),
        (pipeline().batch(4), [-1], "must be from 0 to 9"),
        (pipeline(), ["n1"], "strings .* and the data has no ids"),
        (pipeline(), Y == 1, "got bool of shape .*flatnonzero"),
        (pipeline(NAMES), ["n1", "n77"], "n77"),
        (pipeline().repeat(), KEPT, "must have a length"),
        ({"train": pipeline()}, KEPT, r"must be one data set; got a dict of 'train'.*data\['train'\]"),
        (iter(()), KEPT, "must be a tf.data.Dataset"),
        ((X, Y[:5]), KEPT, "the same length; got 10, 5"),
        ((X,), KEPT, r"must be \(inputs, labels\)"),
        (Batches(X, Y), [10], "must be from 0 to 9"),
    ],
)
def test_bad_input(data, kept, message):
    with pytest.raises(PruneKitError, match=message):
        subset(data, kept)
