"""The recorder in TensorFlow loops: real training, states, replicas, two workers."""

import itertools
import json
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import prune_kit as pk
from prune_kit.data import load_examples
from prune_kit.errors import PruneKitError, RunConflictError
from prune_kit_tensorflow.identified_data import with_ids
from prune_kit_tensorflow.recorder import ScoreRecorder


def digits(n=300):
    examples = load_examples("digits")
    return (examples.inputs.reshape(len(examples), -1) / 255).astype("float32")[:n], examples.labels[:n]


def network():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10),
        ]
    )


def softmax(logits):
    shares = np.exp(np.float64(logits) - logits.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def test_training_is_recorded_as_it_happens(tmp_path):
    """Logits stored by hand beside; the definition in float64 on them."""
    x, y = digits()
    model, optimizer = network(), keras.optimizers.SGD(0.1)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    data = with_ids(tf.data.Dataset.from_tensor_slices((x, y))).shuffle(300, seed=3).batch(64)

    @tf.function
    def step(inputs, labels):
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            loss = loss_of(labels, logits)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return logits

    recorder = ScoreRecorder(tmp_path / "run", len(y))
    stored = np.zeros((3, len(y), 10), np.float32)
    for epoch in range(3):
        for ids, (inputs, labels) in data:
            logits = step(inputs, labels)
            stored[epoch, ids.numpy()] = logits.numpy()
            recorder.update(ids, logits, labels)
        recorder.end_epoch()
    run = pk.Run.open(tmp_path / "run")
    assert run.config["framework"] == "tensorflow"
    assert run.made_with["tensorflow"] == tf.__version__
    for epoch in range(3):
        part, p = run.read_part(0, epoch + 1), softmax(stored[epoch])
        np.testing.assert_array_equal(part.labels, y)
        np.testing.assert_allclose(part["el2n"], np.linalg.norm(p - np.eye(10)[y], axis=1), rtol=1e-5)
        np.testing.assert_allclose(part["p_label"], p[np.arange(len(y)), y], rtol=1e-5)
    correct = stored.argmax(axis=2) == y
    want = np.array(
        [
            sum(a and not b for a, b in itertools.pairwise(right)) if right.any() else np.inf
            for right in correct.T
        ]
    )
    np.testing.assert_array_equal(pk.aggregate_run(run, score="forgetting")["score"], want)


def test_outputs_may_be_what_models_give():
    x, y = digits(20)
    logits = network()(x)

    class Output:
        def __init__(self, logits):
            self.logits = logits

    want = pk.el2n(logits.numpy(), y)
    for outputs in (logits, {"logits": logits, "loss": 0}, Output(logits), (logits, None)):
        recorder = ScoreRecorder(None, len(y))
        recorder.update(range(len(y)), outputs, y)
        np.testing.assert_allclose(recorder.end_epoch().table["el2n"], want, rtol=1e-6)
    with pytest.raises(PruneKitError, match="must give logits of shape"):
        recorder.update(range(3), "nothing", y[:3])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_logits_of_other_types(dtype):
    logits = tf.cast(np.random.default_rng(0).normal(size=(50, 10)), dtype)
    labels = tf.range(50) % 10
    recorder = ScoreRecorder(None, tf.range(50))
    recorder.update(tf.range(50), logits, labels[:, None])  # (b, 1), as Keras takes them too
    table = recorder.end_epoch().table
    assert table["el2n"].dtype == (np.float64 if dtype == "float64" else np.float32)
    want = pk.el2n(tf.cast(logits, tf.float64).numpy(), labels.numpy())
    np.testing.assert_allclose(table["el2n"], want, rtol=1e-5)


def test_soft_labels_and_ids_that_are_strings():
    names = [f"image {i}" for i in range(12)]
    logits = tf.constant(np.random.default_rng(0).normal(size=(12, 3)), tf.float32)
    soft = tf.one_hot(tf.range(12) % 3, 3) * 0.9 + 0.1 / 3
    recorder = ScoreRecorder(None, tf.constant(names), scores=["el2n"])
    for ids, each, labels in tf.data.Dataset.from_tensor_slices((names, logits, soft)).shuffle(12).batch(5):
        recorder.update(ids, each, labels)
    table = recorder.end_epoch().table
    assert table.ids.tolist() == names
    want = np.linalg.norm(softmax(logits.numpy()) - soft.numpy(), axis=1)
    np.testing.assert_allclose(table["el2n"], want, rtol=1e-5)


def test_a_step_copies_nothing():
    logits = tf.zeros((4, 3))
    recorder = ScoreRecorder(None, 4)
    recorder.update(range(4), logits, np.zeros(4, int))
    ((_, held, _),) = recorder._held
    assert held is logits
    assert recorder.seen_in_epoch == 4
    assert not recorder._held


def test_inside_a_function_there_are_no_values():
    recorder = ScoreRecorder(None, 4)

    @tf.function(autograph=False)
    def step(logits):
        recorder.update(tf.range(4), logits, tf.zeros(4, tf.int64))

    with pytest.raises(PruneKitError, match="must be called eagerly.*let the step that is a tf.function"):
        step(tf.zeros((4, 3)))


def test_rows_that_do_not_fit():
    recorder = ScoreRecorder(None, 4)
    with pytest.raises(PruneKitError, match="one row per example; got 3 ids, 4 logits, 4 labels"):
        recorder.update(range(3), tf.zeros((4, 3)), tf.zeros(4, tf.int64))
    with pytest.raises(PruneKitError, match=r"shape \(batch, classes\); got shape \(4, 2, 3\)"):
        recorder.update(range(4), tf.zeros((4, 2, 3)), tf.zeros(4, tf.int64))


def test_an_error_about_values_names_the_example():
    recorder = ScoreRecorder(None, 4)
    recorder.update([2, 3], tf.constant([[0.0, 1.0], [np.nan, 0.0]]), [0, 1])
    with pytest.raises(PruneKitError, match="epoch 1, example 3: `logits` must be finite; got NaN"):
        recorder.end_epoch()


class Kept(tf.train.experimental.PythonState):
    """A recorder in a tf.train.Checkpoint."""

    def __init__(self, recorder):
        self.recorder = recorder

    def serialize(self):
        return pickle.dumps(self.recorder.state_dict())

    def deserialize(self, content):
        self.recorder.load_state_dict(pickle.loads(content))


@pytest.mark.parametrize("steps", [0, 3])
def test_a_state_goes_through_a_checkpoint(tmp_path, steps):
    x, y = digits()
    logits = network()(x)
    order = np.array_split(np.random.default_rng(0).permutation(len(y)), 5)

    def update(recorder, batches):
        for rows in batches:
            recorder.update(rows, tf.gather(logits, rows), y[rows])

    recorder = ScoreRecorder(tmp_path / "run", len(y))
    update(recorder, order)
    recorder.end_epoch()
    update(recorder, order[:steps])
    saved = tf.train.Checkpoint(recorder=Kept(recorder)).write(str(tmp_path / "checkpoint"))
    update(recorder, order[steps:])
    recorder.end_epoch()
    later = ScoreRecorder(tmp_path / "run", len(y))
    tf.train.Checkpoint(recorder=Kept(later)).read(saved).assert_consumed()
    assert later.epoch == 1
    update(later, order[steps:])
    record = later.end_epoch()
    assert record.epoch == 2
    assert len(record.missing) == 0
    np.testing.assert_allclose(record.table["el2n"], pk.el2n(logits.numpy(), y), rtol=1e-6)


def test_a_seed_that_is_there_is_safe_from_the_first_update_on(tmp_path):
    for _ in range(2):
        recorder = ScoreRecorder(tmp_path / "run", 4)
        if (tmp_path / "run").exists():
            with pytest.raises(RunConflictError, match="holds scores of seed 0 already"):
                recorder.update(range(4), tf.zeros((4, 2)), [0, 1, 0, 1])
            with pytest.raises(RunConflictError, match="holds scores of seed 0 already"):
                recorder.begin()
        else:
            recorder.update(range(4), tf.zeros((4, 2)), [0, 1, 0, 1])
            recorder.end_epoch()


def test_rows_that_wait_go_into_a_pickle():
    recorder = ScoreRecorder(None, 4)
    recorder.update(range(4), tf.eye(4, 2), [0, 1, 0, 1])
    again = pickle.loads(pickle.dumps(recorder))
    np.testing.assert_array_equal(again.end_epoch().table["el2n"], recorder.end_epoch().table["el2n"])


def train_in_two_workers():
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with pytest.raises(PruneKitError, match="TF_CONFIG names 2 workers.*make the recorder inside"):
        ScoreRecorder(None, 3)
    x, y = digits(103)
    weights = np.random.default_rng(0).normal(size=(64, 10)).astype("float32")
    ids = np.arange(103) * 100_000_007  # trap 15
    with strategy.scope():
        recorder = ScoreRecorder(Path(sys.argv[1]) / "run", ids)
    data = tf.data.Dataset.from_tensor_slices((ids, x, y)).batch(20)
    step = tf.function(lambda ids, x, y: (ids, x @ weights, y))
    for _ in range(2):
        for batch in strategy.experimental_distribute_dataset(data):
            recorder.update(*strategy.run(step, args=batch))
        record = recorder.end_epoch()
        assert record.table.ids.tolist() == ids.tolist()
        assert len(record.doubled) == 0
        np.testing.assert_allclose(record.table["el2n"], pk.el2n(x @ weights, y), rtol=1e-4)


def test_two_workers_give_each_example_once(tmp_path):
    with socket.socket() as a, socket.socket() as b:
        for each in (a, b):
            each.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in (a, b)]
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error::UserWarning", __file__, str(tmp_path)],
            env={
                **os.environ,
                "TF_CONFIG": json.dumps(
                    {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
                ),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for process in started:
            said, _ = process.communicate(timeout=200)
            assert process.returncode == 0, said
    finally:
        for process in started:
            process.kill()
    assert pk.Run.open(tmp_path / "run").parts() == [(0, 1), (0, 2)]


if __name__ == "__main__":
    train_in_two_workers()
