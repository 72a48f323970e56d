import keras
import numpy as np
import pytest
import tensorflow as tf

from prune_kit.errors import PruneKitError
from prune_kit_tensorflow.batches import check_fit, forward, logits_of, split_batch

X, Y = tf.zeros((3, 2)), tf.constant([0, 1, 1])


def test_pair_has_no_ids():
    ids, inputs, labels = split_batch((X, Y))
    assert ids is None
    assert inputs is X
    assert labels.numpy().tolist() == [0, 1, 1]
    assert labels.dtype == tf.int64


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (tf.constant([7, 8, 9]), [7, 8, 9]),
        (tf.constant(["a", "bé", "c"]), ["a", "bé", "c"]),
        (("a", "b", "c"), ["a", "b", "c"]),
        ([5, 6, 7], [5, 6, 7]),
    ],
)
def test_third_entry_of_a_tuple_is_ids(given, expected):
    assert split_batch((X, Y, given)).ids.tolist() == expected


def test_integer_ids_of_any_width_become_int64():
    assert split_batch((X, Y, np.array([1, 2, 3], np.uint8))).ids.dtype == np.int64


@pytest.mark.parametrize("element", [(X, Y), {"x": X, "y": Y}, (X, Y, tf.ones(3))])
def test_ids_may_stand_in_front(element):
    batch = split_batch((tf.constant([7, 8, 9]), element))
    assert batch.ids.tolist() == [7, 8, 9]
    assert batch.inputs is X
    assert batch.labels.numpy().tolist() == [0, 1, 1]


def test_several_inputs_stay_a_tuple():
    inputs = split_batch(((X, X + 1), Y)).inputs
    assert isinstance(inputs, tuple)
    assert float(tf.reduce_sum(inputs[1])) == 6


@pytest.mark.parametrize("key", ["labels", "label", "targets", "target", "y"])
def test_labels_of_a_dict_are_found_and_the_rest_is_a_dict_of_inputs(key):
    batch = split_batch({"input_ids": X, "attention_mask": X, key: Y, "id": [1, 2, 3]})
    assert set(batch.inputs) == {"input_ids", "attention_mask"}
    assert batch.ids.tolist() == [1, 2, 3]


def test_labels_in_a_column_are_class_indices_if_they_are_integers():
    assert split_batch((X, Y[:, None])).labels.numpy().tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (X, "must be \\(inputs, labels\\)"),
        ((X,), "tuple of 1"),
        ((X, Y, Y, Y), "tuple of 4"),
        ({"x": X}, "must have labels under one of"),
        ((X, tf.zeros((3, 2, 2))), "labels must have shape"),
        ((X, Y, tf.zeros(3)), "ids must be integers or strings.*third entry is taken for ids"),
        ((X, Y, tf.constant([1, 2])), "ids must be integers or strings, one per example"),
    ],
)
def test_other_batches_are_refused(batch, message):
    with pytest.raises(PruneKitError, match=message):
        split_batch(batch)


class Output:
    def __init__(self, logits):
        self.logits = logits


@pytest.mark.parametrize("wrap", [lambda t: t, Output, lambda t: {"logits": t}, lambda t: (t, "hidden")])
def test_logits_are_found_in_what_models_give(wrap):
    logits = tf.zeros((3, 2))
    assert logits_of(wrap(logits)) is logits


@pytest.mark.parametrize("output", [None, tf.zeros((3, 2), tf.int64), {"hidden": X}, "logits"])
def test_output_without_logits_is_refused(output):
    with pytest.raises(PruneKitError, match="must give logits of shape"):
        logits_of(output)


class Subclassed(keras.Model):
    def call(self, a, b, training=False):
        return a - b


class Module(tf.Module):
    def __call__(self, a, b):
        return a - b


class CompiledModule(tf.Module):
    @tf.function
    def __call__(self, a, b):
        return a - b


def functional():
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    return keras.Model({"a": a, "b": b}, a - b)


@pytest.mark.parametrize("make", [Subclassed, Module, CompiledModule, lambda: lambda a, b: a - b])
def test_dicts_and_tuples_are_the_arguments_of_a_model_that_names_several(make):
    assert forward(make(), {"b": X, "a": X + 2}).numpy().tolist() == [[2, 2]] * 3
    assert forward(make(), (X + 2, X)).numpy().tolist() == [[2, 2]] * 3


def test_dicts_and_tuples_are_the_one_argument_of_a_functional_model():
    assert forward(functional(), {"b": X, "a": X + 2}).numpy().tolist() == [[2, 2]] * 3
    a, b = keras.Input((2,)), keras.Input((2,))
    assert forward(keras.Model([a, b], a - b), (X + 2, X)).numpy().tolist() == [[2, 2]] * 3


def test_the_mode_is_test_time_unless_asked_for():
    def model(x, training=None):
        return x + (1.0 if training else 0.0)

    assert forward(model, X).numpy().max() == 0
    assert forward(model, X, training=True).numpy().max() == 1
    dropout = keras.layers.Dropout(0.5)
    assert forward(dropout, X + 1).numpy().tolist() == [[1, 1]] * 3
    assert 2.0 in forward(dropout, tf.ones((50, 2)), training=True).numpy()


@pytest.mark.parametrize("shape", [(3 * 8,), (3, 2, 4)])
def test_logits_of_other_shapes_are_refused(shape):
    with pytest.raises(PruneKitError, match=r"must give logits of shape .*got shape"):
        forward(lambda x: tf.reshape(x, shape), tf.zeros((3, 8)))


def test_what_a_model_cannot_take_is_described():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(
        PruneKitError, match=r"cannot take the data, float32 of shape \(3, 2\).*made for each"
    ):
        forward(model, X)
    with pytest.raises(PruneKitError, match=r"cannot take the data, a: float32 of shape \(3, 2\)"):
        forward(functional(), {"a": X})


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (tf.zeros((2, 4)), Y, "2 rows of logits for 3 labels"),
        (tf.zeros((3, 4)), tf.zeros((3, 5)), "gives 4 classes, the labels have 5 columns"),
        (tf.zeros((3, 2)), Y + 1, r"labels must lie in 0 ... 1; got 2"),
        (tf.zeros((3, 2)), Y - 1, r"labels must lie in 0 ... 1; got -1"),
    ],
)
def test_logits_that_do_not_fit_the_labels_are_refused(logits, labels, message):
    with pytest.raises(PruneKitError, match=message):
        check_fit(logits, labels)
