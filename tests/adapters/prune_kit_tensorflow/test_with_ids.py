"""Ids that travel with the elements of a data set."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from prune_kit.errors import PruneKitError
from prune_kit_tensorflow.identified_data import with_ids

X = np.arange(10, dtype=np.float32) * 10
Y = np.arange(10) % 2


def pipeline():
    return tf.data.Dataset.from_tensor_slices((X, Y))


class Batches(keras.utils.PyDataset):
    def __init__(self, size=4, **options):
        super().__init__(**options)
        self.size = size

    def __len__(self):
        return math.ceil(10 / self.size)

    def __getitem__(self, index):
        rows = slice(index * self.size, (index + 1) * self.size)
        return X[rows], Y[rows]


def seen(data):
    return [(ids.numpy().tolist(), inputs.numpy().tolist()) for ids, (inputs, *_) in data]


def test_ids_go_along_through_shuffle_batch_and_map():
    data = (
        with_ids(pipeline()).shuffle(10, seed=1).map(lambda ids, element: (ids, (element[0] + 1, element[1])))
    )
    for _ in range(2):
        batches = seen(data.batch(4))
        ids = list(itertools.chain(*(ids for ids, _ in batches)))
        assert ids != sorted(ids) == list(range(10))
        assert all(inputs == [10 * i + 1 for i in ids] for ids, inputs in batches)


@pytest.mark.parametrize("weights", [False, True])
def test_ids_beside_batches(weights):
    data = tf.data.Dataset.from_tensor_slices((X, Y, X) if weights else (X, Y)).batch(4)
    batches = seen(with_ids(data))
    assert [ids for ids, _ in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert all(inputs == [10 * i for i in ids] for ids, inputs in batches)


def test_ids_beside_dicts():
    data = tf.data.Dataset.from_tensor_slices({"image": X, "label": Y})
    for each in (data, data.batch(4)):
        for ids, element in with_ids(each):
            np.testing.assert_array_equal(10 * np.atleast_1d(ids), np.atleast_1d(element["image"]))


def test_ids_of_a_py_dataset():
    data = with_ids(Batches(workers=2, max_queue_size=3))
    assert (len(list(data)), data.num_batches, data.workers, data.max_queue_size) == (3, 3, 2, 3)
    for i in (2, 0, 1):
        ids, (x, _) = data[i]
        assert x.tolist() == (10 * ids).tolist()
    assert data.examples == 10


def test_a_py_dataset_that_changes_its_batches_is_refused():
    class Shuffled(Batches):
        def on_epoch_end(self):
            """Another order."""

    with pytest.raises(PruneKitError, match="on_epoch_end of its own.*let it give"):
        with_ids(Shuffled())


def test_a_py_dataset_of_uneven_batches_is_refused():
    class Uneven(Batches):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return x[index:], y[index:]

    data = with_ids(Uneven())
    with pytest.raises(PruneKitError, match="batch 0 has 4 examples, batch 1 has 3"):
        list(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pipeline().shuffle(10), r"calls shuffle\(\) already.*with_ids\(dataset\).shuffle"),
        (pipeline().shuffle(10).batch(2).prefetch(1), r"calls shuffle\(\) already"),
        (pipeline().repeat(2), r"calls repeat\(\) already"),
        (pipeline().repeat(), "must have a length"),
        ((X, Y), "must be a tf.data.Dataset or a keras.utils.PyDataset; got tuple"),
    ],
)
def test_data_whose_places_do_not_tell_is_refused(data, message):
    with pytest.raises(PruneKitError, match=message):
        with_ids(data)
