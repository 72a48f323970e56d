import keras
import numpy as np
import pytest
import tensorflow as tf

from prune_kit.errors import PruneKitError
from prune_kit_tensorflow import score, with_ids
from prune_kit_tensorflow.scoring import Scorer
from prune_kit_tensorflow.sources import as_source

N, C = 50, 4
GENERATOR = np.random.default_rng(1)
X = GENERATOR.normal(size=(N, 6)).astype(np.float32)
Y = GENERATOR.integers(C, size=N)


def make_model(**last):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(16),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dense(C, **last),
        ]
    )
    model.layers[1].moving_variance.assign(np.linspace(0.5, 2, 16))
    return model


@pytest.fixture
def model():
    return make_model()


def forward(weights, x):
    """The forward pass written out, in the type of its arguments: logits and the inputs of the last layer."""
    w, b, gamma, beta, mean, variance, v, c = weights
    hidden = tf.nn.relu((x @ w + b - mean) / tf.sqrt(variance + 1e-3) * gamma + beta)
    return hidden @ v + c, hidden


def in_float64(model):
    return [tf.constant(np.float64(value)) for value in model.get_weights()]


def errors(model):
    """p and p - y in float64, by the definition."""
    logits = forward(in_float64(model), tf.constant(np.float64(X)))[0].numpy()
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p, p - np.eye(C)[Y]


def gradient_norm(model, i, measured):
    """Norm of one example's gradient with respect to the weights at `measured`, by a backward pass for it."""
    weights = in_float64(model)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        logits, _ = forward(weights, tf.constant(np.float64(X[i : i + 1])))
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(Y[i : i + 1], logits)[0]
    gradients = tape.gradient(loss, [weights[j] for j in measured])
    return np.sqrt(sum(float(tf.reduce_sum(g**2)) for g in gradients))


def test_el2n_by_its_definition(model):
    p, error = errors(model)
    table = score(model, (X, Y), scores=("el2n", "margin", "cross_entropy"), batch_size=7)
    np.testing.assert_allclose(table["el2n"], np.linalg.norm(error, axis=1), rtol=1e-5)
    np.testing.assert_allclose(table["p_label"], p[np.arange(N), Y], rtol=1e-5)
    assert table["predicted"].tolist() == p.argmax(axis=1).tolist()
    assert table["el2n"].dtype == np.float32
    assert list(table) == ["predicted", "p_label", "el2n", "margin", "cross_entropy"]


def test_a_shuffled_pipeline_gives_each_example_its_own_score(model):
    expected = score(model, (X, Y))["el2n"]
    data = with_ids(tf.data.Dataset.from_tensor_slices((X, Y))).shuffle(N).batch(8)
    table = score(model, data)
    assert table.ids.tolist() != list(range(N))
    np.testing.assert_allclose(table["el2n"], expected[table.ids], rtol=1e-5)


def test_scores_do_not_depend_on_the_neighbours_in_the_batch(model):
    together = score(model, (X, Y), batch_size=N)["el2n"]
    alone = score(model, (X, Y), batch_size=1)["el2n"]
    np.testing.assert_allclose(alone, together, rtol=1e-5)


def test_ids_of_the_data_name_the_rows(model):
    ids = np.array([f"image-{i}" for i in range(N)])
    assert score(model, (X, Y, ids)).ids.tolist() == ids.tolist()


def test_grand_last_layer_is_the_norm_of_the_last_layers_gradient(model):
    table = score(model, (X, Y), scores=("grand_last_layer",))
    for i in range(0, N, 7):
        assert table["grand_last_layer"][i] == pytest.approx(gradient_norm(model, i, (6, 7)), rel=1e-5)


def test_grand_last_layer_of_a_layer_without_bias():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(C, use_bias=False)])
    table = score(model, (X, Y), scores=("grand_last_layer",))
    with tf.GradientTape() as tape:
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(Y[3:4], model(X[3:4]))[0]
    gradient = tape.gradient(loss, model.layers[0].kernel.value)
    assert table["grand_last_layer"][3] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)


def test_soft_labels(model):
    p, _ = errors(model)
    soft = np.full((N, C), 0.1 / (C - 1), np.float32)
    soft[np.arange(N), Y] = 0.9
    table = score(model, (X, soft), batch_size=8)
    np.testing.assert_allclose(table["el2n"], np.linalg.norm(p - soft, axis=1), rtol=1e-5)
    np.testing.assert_allclose(table.labels, soft)
    assert "p_label" not in table  # the probability of "the" label is not defined


def test_dicts_in_and_out(model):
    class Wrapped(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = model

        def call(self, inputs, training=False):
            return {"logits": self.inner(inputs["values"] * inputs["mask"], training=training)}

    columns = {"values": X, "mask": np.ones((N, 6), np.float32), "labels": Y, "id": np.arange(N) + 7}
    table = score(Wrapped(), tf.data.Dataset.from_tensor_slices(columns).batch(16))
    np.testing.assert_allclose(table["el2n"], score(model, (X, Y))["el2n"], rtol=1e-5)
    assert table.ids[0] == 7


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_logits_are_scored_in_float32(model, half):
    table = score(lambda x: tf.cast(model(x, training=False), half), (X, Y))
    assert table["el2n"].dtype == np.float32
    rounded = tf.cast(tf.cast(model(X), half), tf.float64).numpy()
    p = np.exp(rounded) / np.exp(rounded).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(table["el2n"], np.linalg.norm(p - np.eye(C)[Y], axis=1), rtol=1e-5)


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_refused(model, factor):
    with pytest.raises(PruneKitError, match="finite"):
        score(lambda x: model(x) * factor, (X, Y))


def test_float16_logits_that_overflow_are_refused(model):
    with pytest.raises(PruneKitError, match="finite"):
        score(lambda x: tf.cast(model(x) * 1e6, tf.float16), (X, Y))


@pytest.mark.parametrize(
    ("data", "scores", "message"),
    [
        ((X, Y + C), ("el2n",), "labels"),
        ((X, Y), ("el3n",), "el3n"),
        ((X, Y), "el2n", "must be a sequence of names"),
        ((X, Y, np.arange(N) // 2), ("el2n",), "more than once"),
    ],
)
def test_bad_input(model, data, scores, message):
    with pytest.raises(PruneKitError, match=message):
        score(model, data, scores=scores)


def test_grand_beside_el2n_is_the_norm_of_each_examples_own_gradient(model):
    table = score(model, (X, Y), scores=("el2n", "grand", "grand_last_layer"), batch_size=16)
    for i in range(0, N, 7):
        expected = gradient_norm(model, i, (0, 1, 2, 3, 6, 7))
        assert table["grand"][i] == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(table["el2n"], score(model, (X, Y))["el2n"], rtol=1e-5)
    assert np.array_equal(score(model, (X, Y), scores=("grand",), batch_size=16)["grand"], table["grand"])


def test_a_softmax_at_the_end_changes_no_score():
    model, twin = make_model(), make_model(activation="softmax")
    twin.set_weights(model.get_weights())
    scores = ("el2n", "margin", "grand", "grand_last_layer")
    with pytest.warns(UserWarning, match="ends in a softmax") as told:
        table = score(twin, (X, Y), scores=scores)
    assert len(told) == 1
    expected = score(model, (X, Y), scores=scores)
    for name in scores:
        np.testing.assert_allclose(table[name], expected[name], rtol=1e-5, err_msg=name)


def test_a_scorer_follows_the_weights_without_tracing_again(model):
    traced = []

    def counted(x):
        traced.append(x.shape)
        return model(x, training=False)

    scorer = Scorer(counted)
    source = as_source((X, Y))
    first = scorer(source)["el2n"]
    model.layers[-1].bias.assign_add([3.0, 0.0, 0.0, 0.0])
    second = scorer(source, batch_size=7)["el2n"]
    assert not np.allclose(first, second)
    np.testing.assert_allclose(second, np.linalg.norm(errors(model)[1], axis=1), rtol=1e-5)
    assert len(traced) == 1


def test_probabilities_of_every_class(model):
    p, _ = errors(model)
    table = score(model, (X, Y), probabilities=True, batch_size=7)
    assert list(table) == ["predicted", "p_label", "el2n", "probabilities"]
    assert table["probabilities"].dtype == np.float32
    np.testing.assert_allclose(table["probabilities"], p, rtol=1e-5)
