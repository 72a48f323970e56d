"""ScoringCallback on the training pass: the logits of the steps themselves."""

import contextlib
import inspect
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import prune_kit as pk
from prune_kit.errors import PruneKitError
from prune_kit_tensorflow.callback import ScoringCallback
from prune_kit_tensorflow.identified_data import with_ids

CLASSES, N = 3, 61


def blobs():
    """Three clouds that overlap; the last feature is the example's position."""
    random = np.random.default_rng(0)
    y = np.arange(N) % CLASSES
    x = np.eye(CLASSES)[y] + random.normal(0, 0.7, (N, CLASSES))
    return np.column_stack([x, np.arange(N)]).astype("float32"), y


X, Y = blobs()
CE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Told(keras.Model):
    """A subclassed model that tells what it computes in training, by the position among its features."""

    def __init__(self):
        super().__init__()
        self.hidden = keras.layers.Dense(8, activation="relu")
        self.drop = keras.layers.Dropout(0.2)
        self.last = keras.layers.Dense(CLASSES)
        self.told = []

    def call(self, x, training=False):
        logits = self.last(self.drop(self.hidden(x[:, :CLASSES]), training=training))
        if training:
            tf.numpy_function(self.tell, [x[:, CLASSES], logits], [], stateful=True)
        return logits

    def tell(self, positions, logits):
        self.told.append((positions.astype(int), logits))
        return []

    def epochs(self):
        """Logits (epochs, n, c) of complete epochs."""
        positions = np.concatenate([each for each, _ in self.told]).reshape(-1, N)
        logits = np.concatenate([each for _, each in self.told]).reshape(-1, N, CLASSES)
        return np.stack([rows[np.argsort(at)] for at, rows in zip(positions, logits, strict=True)])


class Stepping(Told):
    """With a train_step as Keras' guide writes it."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        for metric in self.metrics:
            metric.update_state(*([loss] if metric.name == "loss" else [y, y_pred]))
        return {metric.name: metric.result() for metric in self.metrics}


def layered(*, softmax=False):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((CLASSES + 1,))
    x = keras.layers.Dense(8, activation="relu")(inputs[:, :CLASSES])
    x = keras.layers.Dropout(0.3)(keras.layers.BatchNormalization()(x))
    return keras.Model(inputs, keras.layers.Dense(CLASSES, "softmax" if softmax else None)(x))


def compiled(model, **options):
    model.compile(keras.optimizers.SGD(0.3), **{"loss": CE, "metrics": ["accuracy"], **options})
    return model


def definition(logits):
    shares = np.exp(np.float64(logits))
    shares /= shares.sum(axis=-1, keepdims=True)
    return np.linalg.norm(shares - np.eye(CLASSES)[Y], axis=-1)


def forgetting(logits):
    """Counted example by example."""
    counts = []
    for right in (np.argmax(logits, axis=2) == Y).T.tolist():
        falls = sum(before and not after for before, after in itertools.pairwise(right))
        counts.append(falls if any(right) else np.inf)
    return np.array(counts)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return X[16 * index : 16 * index + 16], Y[16 * index : 16 * index + 16]


def identified():
    return with_ids(tf.data.Dataset.from_tensor_slices((X, Y))).shuffle(N, seed=4).batch(16)


DATA = {
    "arrays": lambda: {"x": X, "y": Y, "batch_size": 16},
    "ids among arrays": lambda: {"x": {"inputs": X, "id": np.arange(N)}, "y": Y, "batch_size": 16},
    "pipeline": lambda: {"x": identified(), "shuffle": False},
    "py_dataset": lambda: {"x": Batches()},
}


@pytest.mark.parametrize(
    ("make", "data", "options"),
    [
        (Told, "arrays", {"jit_compile": False}),
        (Told, "ids among arrays", {"run_eagerly": True}),
        (Stepping, "pipeline", {"jit_compile": False}),
        (Told, "pipeline", {"jit_compile": False, "steps_per_execution": 3}),
        (Stepping, "py_dataset", {"jit_compile": False}),
    ],
)
def test_the_logits_of_each_step_are_recorded(tmp_path, make, data, options):
    keras.utils.set_random_seed(1)
    model, data = compiled(make(), **options), DATA[data]()
    examples = {} if "y" in data or isinstance(data["x"], Batches) else {"examples": N}
    callback = ScoringCallback(tmp_path / "run", taken="training", model=model, **examples)
    model.fit(**data, epochs=5, verbose=0, callbacks=[callback])
    run, logits = pk.Run.open(tmp_path / "run"), model.epochs()
    assert run.config["pass"] == "training"
    assert run.parts() == [(0, epoch) for epoch in range(1, 6)]
    for epoch in range(5):
        part = run.read_part(0, epoch + 1)
        assert part.ids.tolist() == list(range(N))
        np.testing.assert_array_equal(part.labels, Y)
        np.testing.assert_allclose(part["el2n"], definition(logits[epoch]), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(pk.aggregate_run(run, score="forgetting")["score"], forgetting(logits))


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({"jit_compile": False}, {"validation_split": 0.2}),
        ({"jit_compile": True}, {"validation_data": (X, Y), "class_weight": {0: 1.0, 1: 2.0, 2: 0.5}}),
        ({"steps_per_execution": 3}, {"sample_weight": np.linspace(0.5, 2, N)}),
        ({"run_eagerly": True}, {}),
    ],
)
def test_training_stays_what_it_is(options, more):
    """Weights and history bit by bit, with BatchNormalization, Dropout and a ragged last batch."""
    fits = []
    for records in (False, True):
        model = compiled(layered(), **options)
        callback = ScoringCallback(None, taken="training", model=model)
        history = model.fit(
            X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[callback] if records else [], **more
        )
        fits.append((model.get_weights(), history.history))
    assert len(callback.record.table) == (48 if "validation_split" in more else N)
    for a, b in zip(fits[0][0], fits[1][0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert fits[0][1] == fits[1][1]


def test_a_pipeline_with_weights_of_classes_trains_as_without_ids():
    weights = []
    for records in (False, True):
        model = compiled(layered())
        plain = tf.data.Dataset.from_tensor_slices((X, Y))
        data = (with_ids(plain) if records else plain).shuffle(N, seed=4).batch(16)
        callback = ScoringCallback(None, taken="training", model=model, examples=N)
        weighted = {"class_weight": {0: 2.0, 1: 1.0, 2: 1.0}, "shuffle": False}
        model.fit(data, verbose=0, callbacks=[callback] if records else [], **weighted)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_everything_is_put_back(tmp_path):
    model = compiled(Told(), jit_compile=False)
    callback = ScoringCallback(tmp_path / "run", taken="training", model=model)
    model.fit(X, Y, epochs=1, verbose=0)  # without the callback nothing is recorded
    before = set(vars(model)), model.train_function

    class Fails(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise RuntimeError("stopped")

    for more in ([], [Fails()]):
        with pytest.raises(RuntimeError, match="stopped") if more else contextlib.nullcontext():
            model.fit(X, Y, epochs=1, verbose=0, callbacks=[callback, *more])
        assert (set(vars(model)), model.train_function) == before
        assert inspect.ismethod(model.train_step)
    model.fit(X, Y, epochs=1, verbose=0)
    assert np.isfinite(model.train_on_batch(X[:8], Y[:8])).all()
    model.fit(
        X, Y, epochs=1, verbose=0, callbacks=[callback]
    )  # what was left of the stopped epoch is forgotten
    assert pk.Run.open(tmp_path / "run").parts() == [(0, 1), (0, 2)]


def test_labels_by_rows_of_one_and_one_hot():
    tables = []
    for y, loss in (
        (Y, CE),
        (Y[:, None], CE),
        (np.eye(CLASSES)[Y], keras.losses.CategoricalCrossentropy(True)),
    ):
        model = compiled(layered(), loss=loss, metrics=[])
        callback = ScoringCallback(None, taken="training", model=model)
        model.fit(X, y, verbose=0, shuffle=False, callbacks=[callback])
        tables.append(callback.record.table)
    for each in tables[1:]:
        np.testing.assert_allclose(each["el2n"], tables[0]["el2n"], rtol=1e-5)


@pytest.mark.parametrize("options", [{"jit_compile": False}, {"run_eagerly": True}])
def test_of_a_softmax_the_logits_are_what_goes_into_it(options):
    want = compiled(layered(), **options)
    callback = ScoringCallback(None, taken="training", model=want)
    want.fit(X, Y, verbose=0, shuffle=False, callbacks=[callback])
    model = compiled(layered(softmax=True), loss="sparse_categorical_crossentropy", **options)
    of_softmax = ScoringCallback(None, taken="training", model=model)
    with pytest.warns(UserWarning, match="ends in a softmax"):
        model.fit(X, Y, verbose=0, shuffle=False, callbacks=[of_softmax])
    for name in ("el2n", "logit_margin"):
        np.testing.assert_allclose(of_softmax.record.table[name], callback.record.table[name], atol=1e-5)


def shares(inputs):
    positive = keras.layers.Dense(CLASSES, "softplus")(inputs[:, :CLASSES])
    return positive / keras.ops.sum(positive, axis=1, keepdims=True)


def test_probabilities_without_a_softmax():
    inputs = keras.Input((CLASSES + 1,))
    model = compiled(keras.Model(inputs, shares(inputs)), loss="sparse_categorical_crossentropy")
    model.optimizer.learning_rate = 0.0
    callback = ScoringCallback(None, taken="training", model=model)
    with pytest.warns(UserWarning, match="their logarithms are taken for the logits"):
        model.fit(X, Y, verbose=0, callbacks=[callback])
    p = np.float64(model.predict(X, verbose=0))
    np.testing.assert_allclose(
        callback.record.table["el2n"], np.linalg.norm(p - np.eye(CLASSES)[Y], axis=1), rtol=1e-5
    )
    odds = np.log(p)
    other = np.where(np.eye(CLASSES)[Y] > 0, -np.inf, odds).max(axis=1)
    np.testing.assert_allclose(
        callback.record.table["logit_margin"], other - odds[np.arange(N), Y], atol=1e-5
    )


def test_logits_that_the_loss_takes_for_probabilities_are_refused():
    model = compiled(layered(), loss="sparse_categorical_crossentropy", metrics=[])
    callback = ScoringCallback(None, taken="training", model=model)
    with pytest.raises(
        PruneKitError, match=r"takes probabilities \(from_logits=False\), and its outputs are none"
    ):
        model.fit(X, Y, verbose=0, callbacks=[callback])


def test_mixed_precision():
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        model = compiled(layered(), jit_compile=False)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    callback = ScoringCallback(None, taken="training", model=model)
    model.fit(X, Y, verbose=0, callbacks=[callback])
    assert callback.record.table["el2n"].dtype == np.float32
    assert len(callback.record.table) == N


def test_an_epoch_in_which_training_stops_is_left_out(tmp_path):
    class Stops(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1 and self.epoch == 1

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

    class StopsAtTheEnd(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    model = compiled(layered())
    callback = ScoringCallback(tmp_path / "run", taken="training", model=model)
    with pytest.warns(UserWarning, match="training stopped inside epoch 2: no scores of it are written"):
        model.fit(X, Y, epochs=4, batch_size=16, verbose=0, callbacks=[callback, Stops()])
    assert pk.Run.open(tmp_path / "run").parts() == [(0, 1)]
    model = compiled(layered())
    callback = ScoringCallback(tmp_path / "other", taken="training", model=model)
    model.fit(X, Y, epochs=4, batch_size=16, verbose=0, callbacks=[StopsAtTheEnd(), callback])
    assert pk.Run.open(tmp_path / "other").parts() == [(0, 1)]


def test_ids_of_ones_own():
    among_inputs = ({"inputs": X, "id": np.array(NAMES)}, Y)
    for data, examples in (((X, Y), NAMES), (among_inputs, None), ((NAMED.shuffle(4),), NAMES)):
        model = compiled(layered())
        callback = ScoringCallback(None, taken="training", model=model, examples=examples)
        model.fit(*data, verbose=0, shuffle=False, callbacks=[callback])
        assert callback.record.table.ids.tolist() == NAMES
        np.testing.assert_array_equal(callback.record.table.labels, Y)


def test_a_fit_that_is_overridden_and_passes_on():
    class Fits(Told):
        def fit(self, *args, **kwargs):
            return super().fit(*args, batch_size=32, **kwargs)

    model = compiled(Fits())
    callback = ScoringCallback(None, taken="training", model=model)
    model.fit(X, Y, verbose=0, callbacks=[callback])
    np.testing.assert_allclose(callback.record.table["el2n"], definition(model.epochs()[0]), rtol=1e-4)


def test_an_epoch_of_fewer_steps_lacks_examples():
    model = compiled(layered())
    callback = ScoringCallback(None, taken="training", model=model)
    with pytest.warns(UserWarning, match="29 of 61 examples were not presented in epoch 1"):
        model.fit(X, Y, batch_size=16, steps_per_epoch=2, verbose=0, callbacks=[callback])
    assert len(callback.record.table) == 32


def two_outputs():
    inputs = keras.Input((CLASSES + 1,))
    model = keras.Model(inputs, [keras.layers.Dense(CLASSES)(inputs) for _ in range(2)])
    model.compile("sgd", [CE, CE])
    return model


class OwnLoss(Told):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(CE(y, self(x, training=True)))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


class Shuffled(Batches):
    def on_epoch_end(self):
        """Another order."""


NAMES = [f"n{i}" for i in range(N)]
NAMED = tf.data.Dataset.from_tensor_slices(({"inputs": X, "id": NAMES}, Y)).batch(16)
PIPELINE = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)


@pytest.mark.parametrize(
    ("make", "data", "options", "message"),
    [
        (two_outputs, (X, [Y, Y]), {}, "must have one output, the logits; .* has 2"),
        (lambda: compiled(OwnLoss()), (X, Y), {}, "train_step must call compute_loss"),
        (lambda: compiled(layered()), (PIPELINE,), {"examples": N}, r"ids must travel .*fit\(with_ids"),
        (lambda: compiled(layered()), (with_ids(PIPELINE),), {}, "`examples` must be given"),
        (lambda: compiled(layered()), (with_ids(PIPELINE),), {"examples": 9}, "9"),
        (lambda: compiled(layered()), (X, Y), {"examples": 9}, "`examples` is 9, and the data has 61"),
        (lambda: compiled(layered()), (iter([(X, Y)]),), {}, "`x` must be arrays, a tf.data.Dataset"),
        (
            lambda: compiled(layered(), jit_compile=True),
            (NAMED,),
            {"examples": N},
            "integers in a step that XLA",
        ),
        (lambda: compiled(layered()), (X, Y.astype("float32")), {}, "labels"),
        (lambda: compiled(layered()), (Shuffled(),), {}, "on_epoch_end of its own"),
    ],
)
def test_what_cannot_be_recorded_is_refused(make, data, options, message):
    model = make()
    callback = ScoringCallback(None, taken="training", model=model, **options)
    with pytest.raises(PruneKitError, match=message):
        model.fit(*data, verbose=0, shuffle=False, callbacks=[callback])
    assert "train_step" not in vars(model)


def test_a_callback_is_of_one_model_and_one_data_set():
    model = compiled(layered())
    callback = ScoringCallback(None, taken="training", model=model)
    with pytest.raises(PruneKitError, match="was made for another model"):
        compiled(layered()).fit(X, Y, verbose=0, callbacks=[callback])
    model.fit(X, Y, verbose=0, callbacks=[callback])
    with pytest.raises(PruneKitError, match="the data set must be the same in all epochs"):
        model.fit(X[:20], Y[:20], verbose=0, callbacks=[callback])
    other = ScoringCallback(None, taken="training", model=model)
    with pytest.raises(PruneKitError, match="one ScoringCallback records the training pass"):
        model.fit(X, Y, verbose=0, callbacks=[callback, other])
