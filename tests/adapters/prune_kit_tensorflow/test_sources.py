import math
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from prune_kit.data import load_examples
from prune_kit.errors import PruneKitError
from prune_kit_tensorflow.array_source import ArraySource
from prune_kit_tensorflow.sources import as_source

N = 11
X = np.arange(N * 2, dtype=np.float32).reshape(N, 2)
Y = np.arange(N) % 3
IDS = np.arange(N) + 100


def pipeline(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays)


def as_dict(x, y, ids):
    return {"x": x, "label": y, "id": ids}


class Pairs(keras.utils.PyDataset):
    def __init__(self, batch_size=3):
        super().__init__()
        self._batch_size = batch_size

    def __len__(self):
        return math.ceil(N / self._batch_size)

    def __getitem__(self, i):
        rows = slice(i * self._batch_size, (i + 1) * self._batch_size)
        return X[rows], Y[rows]


def noise():
    """Other numbers in each reading, which a seed of TensorFlow's repeats."""
    drawn = tf.numpy_function(lambda: np.float32(np.random.default_rng().random()), [], tf.float32)
    return tf.ensure_shape(drawn, ())


def read(source, batch_size=4):
    ids, inputs, labels = zip(*source.ordered(batch_size), strict=True)
    return np.concatenate(ids), np.concatenate(inputs), np.concatenate(labels)


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        (tf.constant(X), tf.constant(Y)),
        pipeline(X, Y),
        pipeline(X, Y).batch(3),
        pipeline(X, Y).batch(3).map(lambda x, y: (x, y[:, None])),
        pipeline(X, Y).filter(lambda x, y: y >= 0),
        pipeline(X, Y).batch(11, drop_remainder=True),
        Pairs(),
        Pairs(5),
    ],
    ids=[
        "numpy",
        "tensors",
        "pipeline",
        "batched",
        "labels in a column",
        "unknown length",
        "static",
        "PyDataset",
        "larger batches",
    ],
)
def test_every_example_once_in_the_data_sets_own_order(data):
    source = as_source(data)
    ids, inputs, labels = read(source)
    assert ids.tolist() == list(range(N))
    np.testing.assert_array_equal(inputs, X)
    assert labels.tolist() == Y.tolist()
    assert len(source) == N
    assert all(len(labels) <= 4 for _, _, labels in source.ordered(4))


@pytest.mark.parametrize(
    "data",
    [
        (X, Y, IDS),
        pipeline(X, Y, IDS),
        pipeline(X, Y, IDS).map(as_dict).batch(4),
        pipeline(X, Y, IDS).shuffle(N).batch(4),
        pipeline(X, Y).enumerate(100).shuffle(N),
        pipeline(X, Y).enumerate(100).batch(4),
    ],
    ids=["arrays", "pipeline", "dicts", "shuffled", "numbered", "numbered batches"],
)
def test_ids_of_the_data_are_kept(data):
    ids, inputs, labels = read(as_source(data))
    assert sorted(ids.tolist()) == IDS.tolist()
    np.testing.assert_array_equal(inputs, X[ids - 100])
    assert labels.tolist() == Y[ids - 100].tolist()


def test_ids_may_be_strings():
    names = np.array([f"file-{i}" for i in range(N)])
    assert read(as_source(pipeline(X, Y, names).batch(4)))[0].tolist() == names.tolist()


def test_soft_labels_of_a_pipeline():
    soft = np.full((N, 4), 0.25, np.float32)
    for data in (pipeline(X, soft), pipeline(X, soft).batch(3)):
        assert read(as_source(data))[2].shape == (N, 4)


def test_one_hot_integers_of_one_example_are_no_batch():
    one_hot = np.eye(3, dtype=np.int64)[Y]
    assert read(as_source(pipeline(X, one_hot)))[2].shape == (N, 3)


def test_several_inputs_of_a_pipeline():
    data = tf.data.Dataset.from_tensor_slices(({"a": X, "b": X + 1}, Y))
    (_, inputs, _), *_ = as_source(data).ordered(4)
    assert {key: value.shape for key, value in inputs.items()} == {"a": (4, 2), "b": (4, 2)}


def test_labels_of_unknown_shape_are_looked_at():
    def examples():
        yield from zip(X, Y, strict=True)

    data = tf.data.Dataset.from_generator(examples, output_types=(tf.float32, tf.int64))
    assert read(as_source(data))[2].tolist() == Y.tolist()


def test_numpy_float64_becomes_the_default_type_and_tensors_keep_theirs():
    wide = X.astype(np.float64)
    assert read(as_source((wide, Y)))[1].dtype == np.float32
    assert read(as_source((tf.constant(wide), Y)))[1].dtype == np.float64


def test_images_are_standardised_channel_by_channel():
    digits = load_examples("digits")
    inputs = as_source(digits).inputs.numpy()
    assert inputs.shape == (1347, 8, 8, 1)
    assert abs(inputs.mean()) < 1e-5
    assert abs(inputs.std() - 1) < 1e-5
    expected = (digits.inputs[5] - digits.inputs.mean()) / digits.inputs.std()
    np.testing.assert_allclose(inputs[5], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.shuffle(N, seed=None),
        lambda data: data.shuffle(N).batch(4),
        lambda data: data.batch(4).shuffle(3),
        lambda data: data.map(lambda x, y: (x + noise(), y)),
    ],
    ids=["shuffled", "shuffled, then batched", "batches shuffled", "augmented"],
)
def test_a_pipeline_without_ids_that_gives_others_in_their_places_is_refused(change):
    tf.random.set_seed(3)
    source = as_source(change(pipeline(X, Y)))
    with pytest.raises(
        PruneKitError, match=r"gives other examples, or others in their places.*remove shuffle"
    ):
        read(source)


def test_other_examples_are_found_out_at_the_end_of_the_reading_that_has_them():
    turn = []

    def examples():
        turn.append(None)
        for i in range(N):
            # The first batch is the same in every reading.
            yield X[i], Y[i] if len(turn) < 5 or i < N - 1 else Y[i] + 1

    signature = (tf.TensorSpec((2,)), tf.TensorSpec((), tf.int64))
    source = as_source(tf.data.Dataset.from_generator(examples, output_signature=signature))
    assert len(read(source)[0]) == N
    with pytest.raises(PruneKitError, match="gives other examples"):
        read(source)


def test_a_generator_that_runs_once_is_found_out():
    examples = iter(list(zip(X, Y, strict=True)))
    signature = (tf.TensorSpec((2,)), tf.TensorSpec((), tf.int64))
    data = tf.data.Dataset.from_generator(lambda: examples, output_signature=signature)
    with pytest.raises(PruneKitError, match="gave 0 examples when it was read again, and 11 before"):
        read(as_source(data.batch(256)))


def test_shuffled_examples_with_ids_must_be_the_same_each_time():
    turn = []

    def examples():
        turn.append(None)
        for i in range(N):
            yield X[i], Y[i], i + len(turn) // 2

    signature = (tf.TensorSpec((2,)), tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.int64))
    source = as_source(tf.data.Dataset.from_generator(examples, output_signature=signature))
    read(source)
    with pytest.raises(PruneKitError, match="gives other examples"):
        read(source)


def test_augmented_examples_with_ids_are_warned_of():
    data = pipeline(X, Y, IDS).map(lambda x, y, i: (x + noise(), y, i))
    source = as_source(data)
    with pytest.warns(UserWarning, match="gives other inputs when an example is read again"):
        digits = source.fingerprint()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(source)  # told once
        assert as_source(pipeline(X, Y, IDS).shuffle(N)).fingerprint() != digits
    with pytest.warns(UserWarning, match="gives other inputs"):
        assert as_source(data).fingerprint() == digits


def test_a_sequence_that_augments_is_warned_of():
    class Augmented(Pairs):
        def __getitem__(self, i):
            x, y = super().__getitem__(i)
            return x + np.random.default_rng().random(), y

    with pytest.warns(UserWarning, match="gives other inputs when an example is read again"):
        as_source(Augmented()).fingerprint()


def test_a_sequence_that_shuffles_is_refused():
    class Shuffled(Pairs):
        def __init__(self):
            super().__init__()
            self.offset = 0

        def __getitem__(self, i):
            x, y = super().__getitem__((i + self.offset) % len(self))
            return x, y

    data = Shuffled()
    source = as_source(data)
    read(source)
    data.offset = 1
    with pytest.raises(PruneKitError, match="gives other examples"):
        read(source)


def epoch(source, seed, batch_size=4):
    batches = list(source.shuffled(batch_size, seed))
    return [batch.labels.numpy().tolist() for batch in batches], [
        batch.inputs.numpy()[:, 0].tolist() for batch in batches
    ]


def test_training_order_depends_on_the_seed_alone_and_leaves_out_the_ragged_batch():
    source = as_source((X, Y))
    labels, inputs = epoch(source, 0)
    assert epoch(source, 0) == (labels, inputs)
    assert epoch(source, 1) != (labels, inputs)
    assert [len(batch) for batch in labels] == [4, 4] == [4] * source.steps(4)
    flat = [value for batch in inputs for value in batch]
    assert len(set(flat)) == 8
    assert set(flat) <= set(X[:, 0].tolist())
    assert [label for batch in labels for label in batch] == [Y[int(value) // 2] for value in flat]


def test_all_examples_are_trained_on_where_they_are_fewer_than_a_batch():
    assert [len(batch.labels) for batch in as_source((X, Y)).shuffled(64, 0)] == [N]


def test_a_pipeline_is_trained_on_as_it_is():
    source = as_source(pipeline(X, Y).batch(3))
    assert epoch(source, 0)[0] == [Y[:3].tolist(), Y[3:6].tolist(), Y[6:9].tolist(), Y[9:].tolist()]
    assert source.steps(64) == 4
    unbatched = as_source(pipeline(X, Y).filter(lambda x, y: y >= 0))
    assert [len(batch) for batch in epoch(unbatched, 0)[0]] == [4, 4] == [4] * unbatched.steps(4)
    shuffled = as_source(pipeline(X, Y).shuffle(N, seed=1).batch(3))
    assert epoch(shuffled, 0) != epoch(shuffled, 0)


def test_the_batches_of_a_sequence_come_in_an_order_that_the_seed_gives():
    source = as_source(Pairs())
    assert epoch(source, 0) == epoch(source, 0)
    assert epoch(source, 0) != epoch(source, 1)
    assert sorted(value for batch in epoch(source, 0)[1] for value in batch) == X[:, 0].tolist()
    assert source.steps(64) == 4


def test_fingerprint_tells_data_apart():
    def of(*data):
        return as_source(data[0] if len(data) == 1 else data).fingerprint()

    other = X.copy()
    other[N - 1, 1] += 1
    for make in (lambda *arrays: arrays, pipeline):
        assert of(make(X, Y)) == of(make(X.copy(), Y.copy()))
        digests = {of(make(X, Y)), of(make(other, Y)), of(make(X, Y[::-1])), of(make(X, Y, IDS))}
        assert len(digests) == 4
    assert of(pipeline(X, Y)) == of(pipeline(X, Y).batch(3)) == of(Pairs())
    assert of(pipeline(X, Y, IDS)) == of(pipeline(X, Y, IDS).shuffle(N))


def test_digits_have_the_fingerprint_that_other_adapters_see():
    digits = load_examples("digits")
    assert as_source(digits).fingerprint() == digits.fingerprint


class Endless(Pairs):
    @property
    def num_batches(self):
        return None


class Empty(Pairs):
    def __len__(self):
        return 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pipeline(X, Y).repeat(), "must have a length.*remove repeat"),
        (Endless(), "must have a length; got a Endless without end"),
        (
            pipeline(X, Y).batch(4, drop_remainder=True),
            "leaves out its last 3 examples.*drop_remainder=False",
        ),
        (
            pipeline(X, Y).batch(4, drop_remainder=True).map(lambda x, y: (x, y)).prefetch(1),
            "leaves out its last 3 examples",
        ),
        ((X, Y[:3]), "same length; got 11 inputs and 3 labels"),
        ((X[:0], Y[:0]), "no examples"),
        (pipeline(X, Y).take(0), "no examples"),
        (pipeline(X, Y).filter(lambda x, y: y > 5), "no examples"),
        (Empty(), "no examples"),
        (([["text"]], ["a"]), "must be a tf.data.Dataset, a keras.utils.PyDataset"),
        ((np.array([["a"]]), np.array([0])), "inputs must be numbers"),
        (tf.data.Dataset.from_tensor_slices(X), "a batch must be \\(inputs, labels\\)"),
        (42, "must be a tf.data.Dataset"),
    ],
)
def test_other_data_are_refused(data, message):
    with pytest.raises(PruneKitError, match=message):
        read(as_source(data))


def test_what_goes_wrong_in_a_pipeline_is_told_in_one_line():
    def examples():
        yield X[0], Y[0]
        raise OSError("the disk is gone")

    signature = (tf.TensorSpec((2,)), tf.TensorSpec((), tf.int64))
    data = tf.data.Dataset.from_generator(examples, output_signature=signature)
    with pytest.raises(PruneKitError, match="cannot be read: .*the disk is gone") as caught:
        read(as_source(data))
    assert "\n" not in str(caught.value)


def test_read_only_and_mapped_arrays_work(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    source = ArraySource(mapped, Y)
    assert np.shares_memory(source.rows, mapped)
    np.testing.assert_array_equal(read(source)[1], X)
