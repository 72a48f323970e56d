import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

import prune_kit_tensorflow.trainer as trainer_module
from prune_kit import PruneKitError, Recipe, Run, RunConflictError
from prune_kit.training import stream_seed
from prune_kit_tensorflow import save_checkpoint, score, train_seeds

N, C = 90, 3
RNG = np.random.default_rng(1)
X = RNG.standard_normal((N, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
RECIPE = Recipe(batch_size=16)  # 5 steps are a pass


def make_model():
    return keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dense(C)]
    )


def linear():
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(C)])


def compiled():
    model = linear()
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def train(run, make=make_model, **options):
    options = {"seeds": 2, "epochs": 3, "at_epochs": (2, 3), "recipe": RECIPE, **options}
    return train_seeds(make, options.pop("data", (X, Y)), run=run, **options)


def content(run):
    run = Run.open(run.path)
    return {part: run.read_part(*part)["el2n"].tobytes() for part in run.parts()}


def softmax(logits):
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def written_out(weights, seed, epochs, *, steps, recipe, after):
    """Nesterov SGD on passes of 5 batches by its formulas, float64; an epoch has `steps` steps."""
    velocity = [np.zeros_like(w) for w in weights]
    x, y = X.astype(np.float64), np.eye(C)[Y]
    for at in range(after * steps, epochs * steps):
        order = np.random.default_rng(stream_seed(seed, "order", at // 5 + 1)).permutation(N)
        rows = order[at % 5 * 16 : at % 5 * 16 + 16]
        rate = recipe.learning_rate * 0.2 ** sum(at // steps >= m for m in recipe.milestones)
        error = (softmax(x[rows] @ weights[0] + weights[1]) - y[rows]) / len(rows)
        for w, v, gradient in zip(weights, velocity, (x[rows].T @ error, error.sum(0)), strict=True):
            g = gradient + 5e-4 * w
            v[:] = 0.9 * v + g
            w -= rate * (g + 0.9 * v)
    return weights


@pytest.mark.parametrize(
    ("steps", "after", "options"),
    [(3, 0, {}), (8, 2, {}), (3, 2, {"augmentation": lambda inputs: inputs})],  # the last by whole batches
)
def test_passes_go_on_over_the_epochs_at_the_schedules_rates(tmp_path, steps, after, options):
    recipe = Recipe(batch_size=16, milestones=(1, 3), learning_rate=0.5)
    initial = linear()
    file = save_checkpoint(initial, tmp_path / "initial.safetensors")
    run = train(
        tmp_path / "run",
        linear,
        seeds=[3],
        epochs=5,
        at_epochs=[5],
        recipe=recipe,
        steps_per_epoch=steps,
        initial_weights=file,
        initial_epoch=after,
        checkpoints=True,
        **options,
    )
    begun = [np.asarray(each, np.float64) for each in initial.get_weights()]
    expected = written_out(begun, 3, 5, steps=steps, recipe=recipe, after=after)
    trained = load_file(run.checkpoint_path(3, 5))
    for found, wanted in zip(trained.values(), sorted(expected, key=np.ndim, reverse=True), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_a_compiled_model_is_fitted_on_the_same_steps(tmp_path):
    """Against Keras' own `fit` on the batches of epochs 3 and 4, of three steps each."""
    initial = linear()
    file = save_checkpoint(initial, tmp_path / "initial.safetensors")
    run = train(
        tmp_path / "run",
        compiled,
        seeds=[3],
        epochs=4,
        at_epochs=[2, 4],
        steps_per_epoch=3,
        initial_weights=file,
        initial_epoch=2,
    )
    assert np.array_equal(run.read_part(3, 2)["el2n"], score(initial, (X, Y))["el2n"])
    orders = [np.random.default_rng(stream_seed(3, "order", p)).permutation(N)[:80] for p in (2, 3)]
    rows = np.concatenate(orders)[16 : 16 + 6 * 16]  # steps 6 to 11 are the second of pass 2 and on
    model = compiled()
    model.set_weights(initial.get_weights())
    model.fit(X[rows], Y[rows], batch_size=16, shuffle=False, verbose=0)
    np.testing.assert_allclose(run.read_part(3, 4)["el2n"], score(model, (X, Y))["el2n"], rtol=1e-4)


def test_the_datas_own_number_of_steps_is_the_default(tmp_path):
    assert content(train(tmp_path / "a", linear, steps_per_epoch=5)) == content(train(tmp_path / "b", linear))
    assert "steps_per_epoch" not in json.loads((tmp_path / "b" / "run.json").read_text())["config"]


class Sequence(keras.utils.PyDataset):
    @property
    def num_batches(self):
        return 4

    def __getitem__(self, i):
        return X[i * 8 : i * 8 + 8], Y[i * 8 : i * 8 + 8]


@pytest.mark.parametrize("data", [(X[:32], Y[:32]), Sequence()], ids=["arrays", "PyDataset"])
def test_an_example_comes_once_in_a_pass_whatever_the_epochs(tmp_path, data):
    seen = []

    def look(training):
        for batch in training.batches:
            same = (np.asarray(batch.inputs)[:, None] == X[:32]).all(2)  # inputs tell which example it is
            seen.append(same.argmax(1))

    options = {"seeds": [0], "epochs": 6, "at_epochs": [6], "recipe": Recipe(batch_size=8)}
    train(tmp_path / "run", linear, data=data, steps_per_epoch=3, train_epoch=look, **options)
    drawn = np.concatenate(seen)
    assert len(drawn) == 6 * 3 * 8
    passes = drawn[: len(drawn) // 32 * 32].reshape(-1, 32)
    assert all(sorted(each) == list(range(32)) for each in passes.tolist())
    assert not np.array_equal(passes[0], passes[1])


@pytest.mark.parametrize("make", [make_model, compiled])
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path, monkeypatch, make):
    monkeypatch.setattr("prune_kit.training._SECONDS_BETWEEN_SAVES", 0.0)
    options = {"epochs": 4, "at_epochs": [4], "steps_per_epoch": 3, "initial_epoch": 1}
    options["initial_weights"] = save_checkpoint(make(), tmp_path / "initial.safetensors")
    whole = content(train(tmp_path / "whole", make, **options))
    trained = []
    original = trainer_module.Trainer._begin_epoch
    stop_at = (1, 3)

    def until_stopped(self, training, epoch, shown):
        if (training.seed, epoch) == stop_at:
            raise KeyboardInterrupt
        trained.append((training.seed, epoch))
        original(self, training, epoch, shown)

    monkeypatch.setattr(trainer_module.Trainer, "_begin_epoch", until_stopped)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", make, **options)
    stop_at = None
    assert content(train(tmp_path / "run", make, **options)) == whole
    assert sorted(trained) == [(seed, epoch) for seed in (0, 1) for epoch in (2, 3, 4)]


def test_going_on_from_a_checkpoint_is_the_training_that_it_is_from(tmp_path):
    """Without momentum nothing but the weights is carried over from the epochs before: the same bits."""
    options = {"recipe": Recipe(batch_size=16, momentum=0.0), "steps_per_epoch": 7, "checkpoints": True}
    whole = train(tmp_path / "whole", **options)
    child = train(
        tmp_path / "child",
        seeds=[1],
        initial_weights=whole.checkpoint_path(1, 2),
        initial_epoch=2,
        **options,
    )
    assert content(child) == {part: bits for part, bits in content(whole).items() if part[0] == 1}
    for name, array in load_file(whole.checkpoint_path(1, 3)).items():
        assert np.array_equal(load_file(child.checkpoint_path(1, 3))[name], array)


def test_children_of_one_checkpoint_differ_by_their_order_alone(tmp_path):
    file = save_checkpoint(make_model(), tmp_path / "initial.safetensors")
    options = {"initial_weights": file, "initial_epoch": 2}
    found = content(train(tmp_path / "run", **options))
    assert found[0, 2] == found[1, 2]  # where they began
    assert found[0, 3] != found[1, 3]
    config = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    assert config["initial_epoch"] == 2
    assert len(config["initial_weights"]) == 64

    save_checkpoint(make_model(), file)
    with pytest.raises(RunConflictError, match="what differs: initial_weights"):
        train(tmp_path / "run", **options)


def test_a_pipeline_is_not_taken_up_in_the_middle(tmp_path):
    pipeline = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)
    with pytest.raises(PruneKitError, match="a tf.data.Dataset is trained on as it is.*give arrays"):
        train(tmp_path / "run", training_data=pipeline, steps_per_epoch=3)
    assert not (tmp_path / "run").exists()


def test_weights_that_do_not_fit_are_refused_before_anything_is_written(tmp_path):
    file = save_checkpoint(linear(), tmp_path / "other.safetensors")
    with pytest.raises(PruneKitError, match="other.safetensors does not fit the model"):
        train(tmp_path / "run", initial_weights=file)
    with pytest.raises(PruneKitError, match="there is no checkpoint nowhere"):
        train(tmp_path / "run", initial_weights="nowhere")
    with pytest.raises(PruneKitError, match="`initial_epoch` 2 is the age of `initial_weights`"):
        train(tmp_path / "run", initial_epoch=2)
    assert not (tmp_path / "run").exists()
