import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from safetensors.numpy import load_file

import prune_kit_tensorflow.trainer as trainer_module
from prune_kit import PruneKitError, Recipe, Run, RunConflictError
from prune_kit.training import stream_seed
from prune_kit_tensorflow.checkpoint_scoring import score_checkpoints
from prune_kit_tensorflow.checkpoints import load_checkpoint
from prune_kit_tensorflow.models import built_in_model
from prune_kit_tensorflow.randomness import seeded
from prune_kit_tensorflow.scoring import score
from prune_kit_tensorflow.train_step import TrainStep
from prune_kit_tensorflow.training import train_seeds

N, C = 90, 3
RNG = np.random.default_rng(1)
X = RNG.standard_normal((N, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
DATA = (X, Y)
RECIPE = Recipe(batch_size=16)


def make_model():
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(12),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(C),
        ]
    )


def make_compiled():
    model = make_model()
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def linear():
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(C)])


def train(run, make=make_model, **options):
    options = {"seeds": 2, "epochs": 3, "at_epochs": (0, 2, 3), "recipe": RECIPE, **options}
    return train_seeds(make, options.pop("data", DATA), run=run, **options)


def content(run):
    """Every part as bytes, by seed and epoch."""
    run = Run.open(run.path)
    return {
        part: {name: run.read_part(*part)[name].tobytes() for name in run.read_part(*part)}
        for part in run.parts()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing disturbed, and what it holds."""
    run = train(tmp_path_factory.mktemp("whole") / "run", checkpoints=True)
    return run, content(run)


def test_training_is_the_papers_recipe_written_out(tmp_path):
    """SGD with Nesterov momentum and weight decay by its formulas, on the order that the kit says."""
    recipe = Recipe(batch_size=16, milestones=(1, 2), learning_rate=0.05)
    run = train_seeds(linear, DATA, seeds=[3], epochs=3, run=tmp_path / "run", recipe=recipe)

    with seeded(stream_seed(3, "weights")):
        weights = [np.asarray(each, np.float64) for each in linear().get_weights()]
    velocity = [np.zeros_like(w) for w in weights]
    x, y = X.astype(np.float64), np.eye(C)[Y]
    for epoch in (1, 2, 3):
        rate = 0.05 * 0.2 ** (epoch - 1)
        order = np.random.default_rng(stream_seed(3, "order", epoch)).permutation(N)
        for rows in np.split(order[: N - N % 16], N // 16):
            error = (softmax(x[rows] @ weights[0] + weights[1]) - y[rows]) / len(rows)
            for w, v, gradient in zip(weights, velocity, (x[rows].T @ error, error.sum(0)), strict=True):
                g = gradient + 5e-4 * w
                v[:] = 0.9 * v + g
                w -= rate * (g + 0.9 * v)
    expected = np.linalg.norm(softmax(x @ weights[0] + weights[1]) - y, axis=1)
    np.testing.assert_allclose(run.read_part(3, 3)["el2n"], expected, rtol=1e-4)


def softmax(logits):
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def test_steps_are_those_of_pytorch():
    """Five steps from the same weights on the same batches, the rate dropped in between."""
    from prune_kit_tensorflow.batches import RawBatch
    from prune_kit_tensorflow.sgd import SGD
    from prune_kit_tensorflow.train_step import cross_entropy

    ours = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(7, activation="tanh"), keras.layers.Dense(C)]
    )
    theirs = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, C))
    for parameter, weight in zip(theirs.parameters(), ours.get_weights(), strict=True):
        parameter.data = torch.tensor(weight.T)
    optimizer = SGD(0.1, momentum=0.9, decay=0.01)
    optimizer.build(ours.trainable_variables)
    step = TrainStep(ours, optimizer, cross_entropy, augmentation="none", source=None, strategy=None)
    sgd = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
    for i in range(5):
        rows = slice(16 * i, 16 * (i + 1))
        if i == 3:
            optimizer.learning_rate = 0.02
            sgd.param_groups[0]["lr"] = 0.02
        step.on_batch(RawBatch(None, tf.constant(X[rows]), tf.constant(Y[rows])))
        sgd.zero_grad()
        torch.nn.functional.cross_entropy(theirs(torch.tensor(X[rows])), torch.tensor(Y[rows])).backward()
        sgd.step()
    assert step.traces == 1
    for parameter, weight in zip(theirs.parameters(), ours.get_weights(), strict=True):
        np.testing.assert_allclose(weight.T, parameter.detach().numpy(), atol=1e-6)


def test_scores_are_those_of_the_saved_weights(whole):
    run, _ = whole
    assert run.parts() == [(0, 0), (0, 2), (0, 3), (1, 0), (1, 2), (1, 3)]
    model = make_model()
    for seed, epoch in run.parts():
        load_checkpoint(model, run.checkpoint_path(seed, epoch))
        assert np.array_equal(run.read_part(seed, epoch)["el2n"], score(model, DATA)["el2n"])


def test_epoch_0_is_initialisation(whole):
    run, _ = whole
    with seeded(stream_seed(1, "weights")):
        model = make_model()
    assert np.array_equal(
        load_file(run.checkpoint_path(1, 0))["0/sequential/dense/kernel"], model.get_weights()[0]
    )
    assert np.array_equal(run.read_part(1, 0)["el2n"], score(model, DATA)["el2n"])


def test_the_same_seed_gives_the_same_bits(tmp_path, whole):
    keras.utils.set_random_seed(123)  # whatever the caller drew before
    assert content(train(tmp_path / "b")) == whole[1]


def test_a_seed_does_not_depend_on_which_others_are_trained(tmp_path, whole):
    both = whole[1]
    alone = content(train(tmp_path / "b", seeds=[1]))
    assert alone == {part: columns for part, columns in both.items() if part[0] == 1}
    assert both[0, 3] != both[1, 3]


def test_the_callers_random_streams_are_left_alone(tmp_path):
    drawn = []
    for trains in (False, True):
        keras.utils.set_random_seed(7)
        keras.random.normal((1,))
        if trains:
            train(tmp_path / "run", linear, seeds=1, epochs=1, at_epochs=None)
        drawn.append(
            [tf.random.normal(()).numpy(), np.random.rand(), keras.random.normal(()).numpy()]  # noqa: NPY002
        )
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("make", "stop_at"),
    [(make_model, (0, 1)), (make_model, (0, 3)), (make_model, (1, 2)), (make_compiled, (0, 3))],
)
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path, monkeypatch, stop_at, make, whole_of):
    monkeypatch.setattr("prune_kit.training._SECONDS_BETWEEN_SAVES", 0.0)
    trained = []
    original = trainer_module.Trainer._begin_epoch

    def until_stopped(self, training, epoch, shown):
        if (training.seed, epoch) == stop_at:
            raise KeyboardInterrupt
        trained.append((training.seed, epoch))
        original(self, training, epoch, shown)

    monkeypatch.setattr(trainer_module.Trainer, "_begin_epoch", until_stopped)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", make)
    stop_at = None
    assert content(train(tmp_path / "run", make)) == whole_of[make]
    # No epoch was trained twice: the interrupted seed went on where it was.
    assert sorted(trained) == [(seed, epoch) for seed in (0, 1) for epoch in (1, 2, 3)]
    assert not list((tmp_path / "run" / "resume").iterdir())


@pytest.fixture(scope="module")
def whole_of(tmp_path_factory, whole):
    """What undisturbed runs of each kind of model hold."""
    compiled = train(tmp_path_factory.mktemp("compiled") / "run", make_compiled)
    return {make_model: whole[1], make_compiled: content(compiled)}


def test_a_run_may_gain_seeds_and_epochs(tmp_path, whole):
    train(tmp_path / "run", seeds=1, at_epochs=(2,))
    run = train(tmp_path / "run", seeds=2, at_epochs=(0, 2, 3))
    assert content(run) == whole[1]


def test_a_run_of_something_else_is_refused_with_what_differs(tmp_path):
    before = content(train(tmp_path / "run", linear, seeds=1, epochs=1, at_epochs=None))
    for change, named in (
        ({"recipe": Recipe(batch_size=16, learning_rate=0.2)}, "recipe.learning_rate was 0.1, is now 0.2"),
        ({"data": (X + 1, Y)}, "data.fingerprint"),
        ({"scores": ("el2n", "margin")}, "scores"),
        ({"optimizer": keras.optimizers.Adam}, "replaced.optimizer"),
    ):
        with pytest.raises(RunConflictError, match=named):
            train(tmp_path / "run", linear, **change)
    with pytest.raises(RunConflictError, match="model.structure"):
        train(tmp_path / "run")
    assert content(Run.open(tmp_path / "run")) == before


def test_nothing_is_traced_again_for_another_seed_or_epoch(tmp_path, monkeypatch):
    learners = []
    original = trainer_module.Learner.__init__

    def kept(self, *args, **options):
        learners.append(self)
        original(self, *args, **options)

    monkeypatch.setattr(trainer_module.Learner, "__init__", kept)
    train(tmp_path / "run", seeds=4)
    (learner,) = learners
    assert learner.step.traces == 1


def test_a_model_that_holds_more_than_its_weights_is_trained_as_it_is(tmp_path):
    """A constant that the seed draws is in the graph of the first seed's model; the others get their own."""

    def make():
        shift = float(np.random.rand())  # noqa: NPY002 - the global stream is meant
        return keras.Sequential(
            [keras.Input((5,)), keras.layers.Rescaling(1.0, offset=shift), keras.layers.Dense(C)]
        )

    both = content(train(tmp_path / "a", make))
    alone = content(train(tmp_path / "b", make, seeds=[1]))
    assert alone == {part: columns for part, columns in both.items() if part[0] == 1}


def test_parts_that_the_user_replaces(tmp_path, whole):
    seen = []

    def loss(logits, labels):
        smooth = 0.9 * tf.one_hot(labels, C) + 0.1 / C
        return keras.losses.categorical_crossentropy(smooth, logits, from_logits=True)

    def augmentation(inputs):
        seen.append(inputs.shape)
        return inputs + 0.01 * keras.random.normal(inputs.shape)

    rates = []

    def schedule(epoch):
        rates.append(epoch)
        return 1 / (1 + epoch)

    optimizer = lambda: keras.optimizers.Adam(0.01)  # noqa: E731
    options = {"loss": loss, "augmentation": augmentation, "schedule": schedule, "optimizer": optimizer}
    first = content(train(tmp_path / "a", seeds=1, **options))
    assert seen == [(16, 5)] * 15
    np.testing.assert_allclose(rates, np.arange(15) / 5)
    assert content(train(tmp_path / "b", seeds=1, **options)) == first
    assert whole[1][0, 3] != first[0, 3]


def test_a_train_epoch_of_the_users(tmp_path, whole):
    epochs = []

    @tf.function
    def step(model, optimizer, inputs, labels):
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    def train_epoch(training):
        epochs.append((training.seed, training.epoch))
        for batch in training.batches:
            step(training.model, training.optimizer, batch.inputs, batch.labels)

    custom = train(tmp_path / "a", train_epoch=train_epoch)
    assert epochs == [(s, e) for s in (0, 1) for e in (1, 2, 3)]
    for part in custom.parts():
        np.testing.assert_allclose(
            custom.read_part(*part)["el2n"], whole[0].read_part(*part)["el2n"], rtol=1e-4, atol=1e-5
        )


class Linear(tf.Module):
    """A plain module of TensorFlow."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(tf.random.normal((5, C)), name="kernel")
        self.bias = tf.Variable(tf.zeros(C), name="bias")

    def __call__(self, inputs):
        return inputs @ self.kernel + self.bias


def test_a_plain_module_trains_by_the_recipe(tmp_path):
    run = train(tmp_path / "a", Linear, checkpoints=True)
    assert sorted(load_file(run.checkpoint_path(0, 3))) == ["0/bias", "1/kernel"]
    means = [run.read_part(0, epoch)["el2n"].mean() for epoch in (0, 2, 3)]
    assert means[0] > means[1] > means[2]
    assert content(train(tmp_path / "b", Linear, seeds=[1])).items() <= content(run).items()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, under NumPy 2
def test_a_compiled_model_is_trained_by_fit_with_its_own_optimizer_and_callbacks(tmp_path):
    """Against Keras' own `fit` on the same batches."""

    def make():
        model = linear()
        model.compile(
            keras.optimizers.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        return model

    rates = []

    def callbacks():
        return [
            keras.callbacks.LearningRateScheduler(lambda epoch: 0.02 / (1 + epoch)),
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: rates.append(logs["learning_rate"])
            ),
        ]

    run = train(tmp_path / "run", make, seeds=[5, 6], callbacks=callbacks)
    np.testing.assert_allclose(rates, [0.02, 0.01, 0.02 / 3] * 2, rtol=1e-6)
    with seeded(stream_seed(6, "weights")):
        model = make()
    for epoch in (1, 2, 3):
        rows = np.random.default_rng(stream_seed(6, "order", epoch)).permutation(N)[: N - N % 16]
        model.optimizer.learning_rate = 0.02 / epoch
        model.fit(X[rows], Y[rows], batch_size=16, shuffle=False, verbose=0)
    np.testing.assert_allclose(run.read_part(6, 3)["el2n"], score(model, DATA)["el2n"], rtol=1e-4)


def test_a_compiled_models_settings_are_part_of_the_run(tmp_path):
    def make(rate):
        model = linear()
        model.compile(
            keras.optimizers.SGD(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        return model

    options = {"seeds": 1, "epochs": 0, "at_epochs": None}
    train(tmp_path / "run", lambda: make(0.1), **options)
    with pytest.raises(RunConflictError, match=r"compiled\.optimizer\.config\.learning_rate was 0\.1"):
        train(tmp_path / "run", lambda: make(0.2), **options)


def test_a_callback_that_stops_early_is_told(tmp_path):
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(stop.model, "stop_training", True)
    )
    with pytest.raises(
        PruneKitError, match="a callback stopped the training after epoch 1; epoch 3 is to be"
    ):
        train(tmp_path / "run", make_compiled, callbacks=lambda: [stop])


class Dropping(Linear):
    """Draws from a stream of TensorFlow's own, which no seed generator of Keras governs."""

    def __call__(self, inputs, training=False):
        return super().__call__(tf.nn.dropout(inputs, 0.5) if training else inputs)


def test_dropout_of_tensorflow_itself_is_repeated_after_an_interruption_too(tmp_path, monkeypatch):
    monkeypatch.setattr("prune_kit.training._SECONDS_BETWEEN_SAVES", 0.0)
    whole = content(train(tmp_path / "whole", Dropping))
    assert whole[0, 3] != content(train(tmp_path / "plain", Linear))[0, 3]
    stop_at = 3
    original = trainer_module.Trainer._begin_epoch

    def until_stopped(self, training, epoch, shown):
        if epoch == stop_at:
            raise KeyboardInterrupt
        original(self, training, epoch, shown)

    monkeypatch.setattr(trainer_module.Trainer, "_begin_epoch", until_stopped)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", Dropping)
    stop_at = None
    assert content(train(tmp_path / "run", Dropping)) == whole


def test_training_data_apart_from_the_data_that_is_scored(tmp_path, whole):
    other = (X + 0.1, Y)
    run = content(train(tmp_path / "a", seeds=1, training_data=other))
    assert run[0, 0] == whole[1][0, 0]
    assert run[0, 3] != whole[1][0, 3]


def test_a_pipeline_is_trained_on_as_it_is_and_scored_in_order(tmp_path):
    pipeline = tf.data.Dataset.from_tensor_slices((X, Y)).batch(30)
    sizes = []

    def train_epoch(training):
        sizes.extend(len(batch.labels) for batch in training.batches)

    run = train(tmp_path / "run", linear, data=pipeline, seeds=1, train_epoch=train_epoch)
    assert sizes == [30] * 9
    assert run.read_part(0, 3).ids.tolist() == list(range(N))
    by_recipe = train(tmp_path / "again", linear, data=pipeline, seeds=1)
    assert by_recipe.read_part(0, 3)["el2n"].mean() < run.read_part(0, 3)["el2n"].mean()


@pytest.mark.parametrize("is_compiled", [False, True])
def test_bfloat16_trains_and_scores_in_float32(tmp_path, is_compiled):
    images = np.random.default_rng(0).standard_normal((40, 8, 8, 3)).astype(np.float32)
    data = (images, np.arange(40) % 4)
    plain = built_in_model("small-cnn", data)

    def make():
        model = plain()
        if is_compiled:
            model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    runs = [
        train_seeds(
            make,
            data,
            seeds=1,
            epochs=2,
            at_epochs=(0, 2),
            run=tmp_path / precision,
            recipe=Recipe(batch_size=8),
            precision=precision,
        )
        for precision in ("float32", "bfloat16")
    ]
    exact, fast = (run.read_part(0, 2)["el2n"] for run in runs)
    assert fast.dtype == np.float32
    assert not np.array_equal(exact, fast)
    assert np.abs(exact - fast).max() < 0.3
    # Before training there is nothing that the precision of training could change.
    assert np.array_equal(*(run.read_part(0, 0)["el2n"] for run in runs))
    assert keras.config.dtype_policy().name == "float32"


def test_scores_from_checkpoints_without_training(tmp_path, whole):
    trained, expected = whole
    files = sorted(trained.path.glob("checkpoints/*/*.safetensors"))
    assert content(score_checkpoints(make_model, DATA, files, run=tmp_path / "scored")) == expected


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, under NumPy 2
def test_other_checkpoints_are_seeds_in_the_order_given(tmp_path):
    files, models = [], []
    for seed in (5, 6):
        models.append(make_model())
        files.append(tmp_path / f"model-{seed}.weights.h5")
        models[-1].save_weights(files[-1])
    with pytest.raises(PruneKitError, match="does not say which epoch"):
        score_checkpoints(make_model, DATA, files, run=tmp_path / "run")
    run = score_checkpoints(make_model, DATA, files, epoch=20, run=tmp_path / "run")
    assert run.parts() == [(0, 20), (1, 20)]
    assert np.array_equal(run.read_part(1, 20)["el2n"], score(models[1], DATA)["el2n"])
    with pytest.raises(PruneKitError, match="are both seed 0"):
        score_checkpoints(
            make_model, DATA, [tmp_path / "a" / "seed=0" / "epoch=1.h5"] * 2, run=tmp_path / "other"
        )


def test_training_that_diverged_is_told_with_seed_and_epoch(tmp_path):
    with pytest.raises(PruneKitError, match="seed 0, epoch 2.*NaN|seed 0, epoch 2.*finite"):
        train(tmp_path / "run", recipe=Recipe(batch_size=16, learning_rate=1e30))
    assert Run.open(tmp_path / "run").parts() == [(0, 0)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "`seeds`"),
        ({"seeds": [1, 1]}, "each seed once"),
        ({"epochs": -1}, "`epochs`"),
        ({"at_epochs": [4]}, "`at_epochs`"),
        ({"scores": ["el3n"]}, "el3n"),
        ({"precision": "float8"}, "`precision`"),
        ({"device": "tpu9"}, "`device`"),
        ({"callbacks": list}, "`callbacks` are for models that `fit` trains"),
        ({"make": make_compiled, "loss": lambda logits, labels: 0.0}, "`loss`: a compiled model is trained"),
        ({"make": Linear, "precision": "bfloat16"}, "`precision` bfloat16 needs a Keras model; got Linear"),
        ({"optimizer": lambda: "adam"}, "`optimizer` must make a Keras optimizer; it gives str"),
    ],
)
def test_options_out_of_range(tmp_path, options, message):
    with pytest.raises(PruneKitError, match=message):
        train(tmp_path / "run", **options)
    assert not (tmp_path / "run" / "scores").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, "must return a Keras model or a tf.Module; got NoneType"),
        (lambda: keras.Sequential([keras.layers.Flatten()]), "must have parameters; Sequential has none"),
        (lambda: frozen(linear()), "must have parameters that require gradients"),
        (
            lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(C)]),
            "the model cannot take the data",
        ),
        (
            lambda: keras.Sequential([keras.layers.Dense(2)]),
            "the model gives 2 classes, so that labels must lie in 0 ... 1; got 2",
        ),
    ],
)
def test_models_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, make, message):
    with pytest.raises(PruneKitError, match=message):
        train_seeds(make, DATA, seeds=1, epochs=1, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def frozen(model):
    model.trainable = False
    return model


def test_a_label_out_of_range_anywhere_is_found_before_training(tmp_path):
    labels = Y.copy()
    labels[N - 1] = C
    with pytest.raises(PruneKitError, match="labels must lie in 0 ... 2; got 3"):
        train(tmp_path / "run", data=(X, labels))
    assert not (tmp_path / "run").exists()


def test_probabilities_are_stored_where_asked_for(tmp_path, whole):
    plain, columns = whole
    run = train(tmp_path / "run", save_probabilities=True)
    for place in plain.parts():
        stored = run.read_part(*place)
        # The scores are the same bits beside them.
        assert {name: stored[name].tobytes() for name in columns[place]} == columns[place]
        model = make_model()
        load_checkpoint(model, plain.checkpoint_path(*place))
        expected = tf.nn.softmax(tf.cast(model(X, training=False), tf.float64)).numpy()
        np.testing.assert_allclose(stored["probabilities"], expected, rtol=1e-4)
    files = sorted((plain.path / "checkpoints").rglob("*.safetensors"))
    again = score_checkpoints(make_model, DATA, files, run=tmp_path / "again", save_probabilities=True)
    for place in run.parts():
        expected = run.read_part(*place)["probabilities"]
        np.testing.assert_allclose(again.read_part(*place)["probabilities"], expected, rtol=1e-5)
