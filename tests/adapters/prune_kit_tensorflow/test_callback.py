"""ScoringCallback by an evaluation pass: what is scored, when, and that training stays what it is."""

import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import prune_kit as pk
from prune_kit.errors import PruneKitError, RunConflictError
from prune_kit_tensorflow.callback import ScoringCallback

CLASSES = 3


def blobs(n=60):
    """Three clouds that overlap."""
    random = np.random.default_rng(0)
    y = np.arange(n) % CLASSES
    return (np.eye(CLASSES)[y] + random.normal(0, 0.7, (n, CLASSES))).astype("float32"), y


X, Y = blobs()


def network(*, softmax=False, norm=True, **options):
    keras.utils.set_random_seed(1)
    layers = [keras.Input((CLASSES,)), keras.layers.Dense(8, activation="relu")]
    if norm:
        layers += [keras.layers.BatchNormalization(), keras.layers.Dropout(0.3)]
    model = keras.Sequential([*layers, keras.layers.Dense(CLASSES, "softmax" if softmax else None)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not softmax)
    model.compile(keras.optimizers.SGD(0.3), loss, metrics=["accuracy"], **options)
    return model


class Logits(keras.callbacks.Callback):
    """Logits of all examples after each epoch, by Keras' own predict."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def on_epoch_end(self, epoch, logs=None):
        self.kept.append(self.model.predict(X, verbose=0))


def definition(logits, labels):
    shares = np.exp(np.float64(logits))
    shares /= shares.sum(axis=1, keepdims=True)
    return np.linalg.norm(shares - np.eye(logits.shape[1])[labels], axis=1)


def forgetting(logits):
    """Counted example by example."""
    counts = []
    for right in (np.argmax(logits, axis=2) == Y).T.tolist():
        falls = sum(before and not after for before, after in itertools.pairwise(right))
        counts.append(falls if any(right) else np.inf)
    return np.array(counts)


def test_each_epoch_is_scored_in_inference_mode(tmp_path):
    model, logits = network(), Logits()
    callback = ScoringCallback(tmp_path / "run", (X, Y), described={"model_name": "net"})
    model.fit(X, Y, epochs=4, batch_size=16, verbose=0, callbacks=[logits, callback])
    run = pk.Run.open(tmp_path / "run")
    assert (run.config["pass"], run.config["framework"]) == ("evaluation", "tensorflow")
    assert run.config["model_name"] == "net"
    assert run.parts() == [(0, epoch) for epoch in (1, 2, 3, 4)]
    for epoch in range(4):
        part = run.read_part(0, epoch + 1)
        np.testing.assert_array_equal(part.labels, Y)
        np.testing.assert_allclose(part["el2n"], definition(logits.kept[epoch], Y), rtol=1e-4)
    table = pk.aggregate_run(run, score="forgetting")
    np.testing.assert_array_equal(table["score"], forgetting(np.array(logits.kept)))
    assert table["score"].max() > 0
    assert callback.record.epoch == 4


def test_chosen_epochs_initialisation_among_them(tmp_path):
    model = network()
    before = model.predict(X, verbose=0)
    data = tf.data.Dataset.from_tensor_slices((X, Y, [f"n{i}" for i in range(60)])).shuffle(60).batch(32)
    callback = ScoringCallback(tmp_path / "run", data, at_epochs=(0, 2), scores=("el2n", "entropy"))
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[callback])
    run = pk.Run.open(tmp_path / "run")
    assert run.parts() == [(0, 0), (0, 2)]
    part = run.read_part(0, 0)
    assert list(part) == ["predicted", "p_label", "el2n", "entropy"]
    of_example = dict(zip(part.ids.tolist(), part["el2n"], strict=True))
    want = definition(before, Y)
    np.testing.assert_allclose([of_example[f"n{i}"] for i in range(60)], want, rtol=1e-5)


def test_training_stays_what_it_is():
    fits = []
    for callbacks in ([], [ScoringCallback(None, (X, Y), batch_size=7)]):
        model = network()
        history = model.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y), callbacks=callbacks).history
        fits.append((model.get_weights(), history))
    for a, b in zip(fits[0][0], fits[1][0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert fits[0][1] == fits[1][1]


def test_of_a_softmax_the_logits_are_what_goes_into_it():
    """Two models with the same weights, one with its softmax in the loss."""
    tables = []
    for softmax in (False, True):
        model = network(softmax=softmax, norm=False)
        callback = ScoringCallback(None, (X, Y))
        if softmax:
            with pytest.warns(UserWarning, match="ends in a softmax"):
                model.fit(X, Y, verbose=0, shuffle=False, callbacks=[callback])
        else:
            model.fit(X, Y, verbose=0, shuffle=False, callbacks=[callback])
        tables.append(callback.record.table)
    for name in ("el2n", "logit_margin"):
        np.testing.assert_allclose(tables[0][name], tables[1][name], atol=1e-5)


def test_probabilities_that_come_of_no_softmax_are_refused():
    inputs = keras.Input((CLASSES,))
    shares = keras.layers.Dense(CLASSES, "softplus")(inputs)
    shares = shares / keras.ops.sum(shares, axis=1, keepdims=True)
    model = keras.Model(inputs, shares)
    model.compile("sgd", "sparse_categorical_crossentropy")
    callback = ScoringCallback(None, (X, Y))
    with (
        pytest.warns(UserWarning, match="look like probabilities"),
        pytest.raises(PruneKitError, match=r"takes probabilities \(from_logits=False\), and no softmax"),
    ):
        model.fit(X, Y, verbose=0, callbacks=[callback])


def test_mixed_precision():
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        model, logits = network(norm=False), Logits()
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    callback = ScoringCallback(None, (X, Y))
    model.fit(X, Y, verbose=0, callbacks=[logits, callback])
    table = callback.record.table
    assert table["el2n"].dtype == np.float32
    np.testing.assert_allclose(table["el2n"], definition(logits.kept[0].astype("float32"), Y), atol=0.02)


def test_a_training_that_goes_on_makes_later_parts_again(tmp_path):
    run, data = tmp_path / "run", (X, Y)
    model = network()
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[ScoringCallback(run, data)])
    kept = (run / "scores/seed=0/epoch=1/part-0.parquet").read_bytes()
    with pytest.raises(RunConflictError, match="holds scores of seed 0 already"):
        network().fit(X, Y, verbose=0, callbacks=[ScoringCallback(run, data)])
    callback = ScoringCallback(run, data)
    network().fit(X, Y, initial_epoch=1, epochs=2, verbose=0, callbacks=[callback])
    assert pk.Run.open(run).parts() == [(0, 1), (0, 2)]
    assert (run / "scores/seed=0/epoch=1/part-0.parquet").read_bytes() == kept
    callback = ScoringCallback(run, data, overwrite=True)
    network().fit(X, Y, verbose=0, callbacks=[callback])
    assert pk.Run.open(run).parts() == [(0, 1)]


def test_another_fit_of_the_same_model_goes_on_counting(tmp_path):
    model, callback = network(), ScoringCallback(tmp_path / "run", (X, Y))
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[callback])
    model.fit(X, Y, initial_epoch=3, epochs=4, verbose=0, callbacks=[callback])
    assert pk.Run.open(tmp_path / "run").parts() == [(0, 1), (0, 2), (0, 3), (0, 4)]


class Dies(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise RuntimeError("killed")


# Of Keras, as it saves weights.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("taken", ["evaluation", "training"])
def test_backup_and_restore(tmp_path, taken):
    def train(run, folder, *more):
        model = network(norm=False)
        option = {"model": model} if taken == "training" else {}
        data = () if taken == "training" else ((X, Y),)
        callback = ScoringCallback(run, *data, taken=taken, **option)
        backup = keras.callbacks.BackupAndRestore(folder)
        model.fit(X, Y, shuffle=False, epochs=4, verbose=0, callbacks=[callback, backup, *more])

    train(tmp_path / "whole", tmp_path / "backup")
    with pytest.raises(RuntimeError, match="killed"):
        train(tmp_path / "parts", tmp_path / "backup", Dies(2))
    assert json.loads((tmp_path / "backup/training_metadata.json").read_text())["epoch"] == 2
    train(tmp_path / "parts", tmp_path / "backup")
    whole, parts = pk.Run.open(tmp_path / "whole"), pk.Run.open(tmp_path / "parts")
    assert whole.parts() == parts.parts() == [(0, 1), (0, 2), (0, 3), (0, 4)]
    for _, epoch in whole.parts():
        a, b = whole.read_part(0, epoch), parts.read_part(0, epoch)
        np.testing.assert_allclose(a["logit_margin"], b["logit_margin"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((), {}, "taken='evaluation' goes with `data`"),
        (((X, Y),), {"examples": 3}, "taken='evaluation' goes with `data`, and neither"),
        ((), {"taken": "training"}, "taken='training' goes with `model`"),
        (((X, Y),), {"taken": "training"}, "taken='training' goes with `model`"),
        ((), {"taken": "training", "model": 3}, "`model` must be a keras.Model; got int"),
        (((X, Y),), {"taken": "test"}, "`taken` must be 'training' or 'evaluation'; got 'test'"),
        (((X, Y),), {"seed": -1}, "`seed` must be a whole number"),
        (((X, Y),), {"at_epochs": [-1]}, "`at_epochs` must be whole numbers from 0"),
        (((X, Y),), {"scores": ["grand"]}, "grand"),
        (((X, Y[:3]),), {}, "the same length"),
    ],
)
def test_wrong_options_are_told_when_the_callback_is_made(arguments, options, message):
    with pytest.raises(PruneKitError, match=message):
        ScoringCallback(None, *arguments, **options)
