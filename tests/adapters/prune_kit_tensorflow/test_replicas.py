"""A MirroredStrategy on two logical devices, which TensorFlow is told of at its start: a script."""

import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf

import prune_kit as pk
from prune_kit_tensorflow.callback import ScoringCallback
from prune_kit_tensorflow.identified_data import with_ids
from prune_kit_tensorflow.recorder import ScoreRecorder

N = 103  # the last batch is ragged, and not even


def test_two_replicas():
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", __file__], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def data():
    random = np.random.default_rng(0)
    return random.normal(size=(N, 8)).astype("float32"), random.integers(0, 3, N)


def network(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras.Sequential(
            [keras.Input((8,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3)]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    return model


def check_callback(strategy, taken):
    """Weights as without it; each example once; logits as of a second model that has stood still."""
    x, y = data()
    plain = network(strategy)
    history = plain.fit(x, y, epochs=2, batch_size=16, verbose=0).history
    model = network(strategy)
    options = {"model": model, "taken": "training"} if taken == "training" else {}
    callback = ScoringCallback(None, *(() if options else ((x, y),)), **options)
    assert model.fit(x, y, epochs=2, batch_size=16, verbose=0, callbacks=[callback]).history == history
    for a, b in zip(plain.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    table = callback.record.table
    assert len(callback.record.doubled) == 0
    np.testing.assert_array_equal(table.labels, y)
    if taken == "evaluation":
        np.testing.assert_allclose(table["el2n"], pk.el2n(plain.predict(x, verbose=0), y), rtol=1e-5)
        return
    still = network(strategy)
    still.optimizer.learning_rate = 0.0
    callback = ScoringCallback(None, taken="training", model=still, examples=N)
    pairs = with_ids(tf.data.Dataset.from_tensor_slices((x, y))).shuffle(N).batch(16)
    still.fit(pairs, epochs=1, verbose=0, shuffle=False, callbacks=[callback])
    np.testing.assert_allclose(
        callback.record.table["el2n"], pk.el2n(still.predict(x, verbose=0), y), rtol=1e-5
    )


def check_recorder(strategy):
    """A loop of one's own, with values per replica."""
    x, y = data()
    model = network(strategy)
    recorder = ScoreRecorder(None, N)
    pairs = with_ids(tf.data.Dataset.from_tensor_slices((x, y))).shuffle(N).batch(34)
    step = tf.function(lambda ids, pair: (ids, model(pair[0]), pair[1]))
    for ids, pair in strategy.experimental_distribute_dataset(pairs):
        recorder.update(*strategy.run(step, args=(ids, pair)))
    record = recorder.end_epoch()
    assert len(record.missing) == len(record.doubled) == 0
    np.testing.assert_allclose(record.table["el2n"], pk.el2n(model.predict(x, verbose=0), y), rtol=1e-5)


def main():
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for taken in ("training", "evaluation"):
        check_callback(strategy, taken)
    check_recorder(strategy)


if __name__ == "__main__":
    main()
