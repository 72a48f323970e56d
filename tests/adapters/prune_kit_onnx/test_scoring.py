"""Scores of exported models against their definitions."""

import numpy as np
import onnx
import onnxruntime
import pytest

import prune_kit_onnx as pko
from prune_kit.data import load_examples, open_examples
from prune_kit.errors import PruneKitError


@pytest.fixture
def expected(data, weights, by_definition):
    inputs, labels, _ = data
    return by_definition(inputs.astype(np.float64) @ weights["W"] + weights["b"], labels)


def test_a_path_bytes_a_proto_and_a_session_give_the_same_scores(linear, data, saved, expected):
    content = linear()
    models = [
        saved(content),
        str(saved(content)),
        content,
        onnx.load_from_string(content),
        onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]),
    ]
    for model in models:
        table = pko.score(model, data, scores=("el2n", "margin"), device="cpu")
        np.testing.assert_allclose(table["el2n"], expected, rtol=1e-5)
        assert table.ids.tolist() == data[2].tolist()
        assert table.labels.tolist() == data[1].tolist()
        assert table["el2n"].dtype == np.float32
        assert list(table) == ["predicted", "p_label", "el2n", "margin"]
        assert table.provenance["device"] == "cpu"


@pytest.mark.parametrize("batch", ["N", 1, 5, 32])
@pytest.mark.parametrize("batch_size", [None, 1, 7, 23])
def test_the_size_of_batches_makes_no_difference(linear, data, expected, batch, batch_size):
    """A fixed batch is filled up with the last example, and cut."""
    table = pko.score(linear(batch=batch), data, batch_size=batch_size)
    np.testing.assert_allclose(table["el2n"], expected, rtol=1e-5)
    assert table.ids.tolist() == data[2].tolist()


def test_batches_are_the_callers_to_keep(linear, data, weights):
    kept = list(pko.predict(linear(batch=4), data, batch_size=6))
    assert [len(batch.ids) for batch in kept] == [6, 6, 6, 5]
    together = np.concatenate([batch.logits for batch in kept])
    np.testing.assert_allclose(together, data[0] @ weights["W"] + weights["b"], rtol=1e-5, atol=1e-6)
    assert all(batch.features is None and batch.from_logits for batch in kept)


@pytest.mark.parametrize("behind", [("Softmax",), ("Softmax", "Identity")])
def test_a_model_that_ends_in_softmax_is_recognised_and_says_so(linear, data, expected, behind):
    with pytest.warns(UserWarning, match="a model ends in Softmax: its outputs are taken for probabilities"):
        table = pko.score(linear(behind=behind), data)
    np.testing.assert_allclose(table["el2n"], expected, rtol=1e-5)


def test_probabilities_are_known_by_their_numbers_where_there_is_no_graph(linear, data, expected):
    session = onnxruntime.InferenceSession(linear(behind=("Softmax",)), providers=["CPUExecutionProvider"])
    with pytest.warns(UserWarning, match="what a model gives is never negative and sums to 1"):
        table = pko.score(session, data)
    np.testing.assert_allclose(table["el2n"], expected, rtol=1e-5)


def test_what_the_user_says_of_the_output_is_not_doubted(linear, data, expected, by_definition, weights):
    model = linear(behind=("Softmax",))
    np.testing.assert_allclose(pko.score(model, data, from_logits=False)["el2n"], expected, rtol=1e-5)
    probabilities = next(pko.predict(model, data, from_logits=True)).logits
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(23), abs=1e-6)
    twice = pko.score(model, data, from_logits=True)["el2n"]
    np.testing.assert_allclose(twice, by_definition(probabilities, data[1]), rtol=1e-5)


def test_log_softmax_gives_logits(linear, data, expected):
    np.testing.assert_allclose(pko.score(linear(behind=("LogSoftmax",)), data)["el2n"], expected, rtol=1e-5)


def test_a_model_that_ends_in_sigmoid_is_refused(linear, data):
    with pytest.raises(PruneKitError, match="ends in Sigmoid, so that its outputs are neither logits nor"):
        pko.score(linear(behind=("Sigmoid",)), data)


def test_soft_labels(linear, data, weights):
    inputs = data[0]
    soft = np.random.default_rng(0).dirichlet(np.ones(3), size=23).astype(np.float32)
    table = pko.score(linear(), (inputs, soft))
    logits = inputs.astype(np.float64) @ weights["W"] + weights["b"]
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(table["el2n"], np.linalg.norm(softmax - soft, axis=1), rtol=1e-5)
    assert "p_label" not in table


def test_the_embedded_digits_from_a_stream(tmp_path):
    digits = open_examples("digits")
    (file,) = pko.make_small_models(load_examples("digits"), tmp_path, seeds=[3], epochs=2)
    table = pko.score(file, digits)
    assert table.ids.tolist() == digits.ids.tolist()
    assert np.mean(table["predicted"] == table.labels) > 0.9


def test_threads_and_progress_change_no_number(linear, data, expected):
    table = pko.score(linear(), data, threads=1, progress=True)
    np.testing.assert_allclose(table["el2n"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"scores": ("grand",)},
            "'grand' needs gradients of all parameters, which an exported model does not",
        ),
        ({"scores": ("elton",)}, "elton"),
        ({"batch_size": 0}, "`batch_size` must be a whole number of 1 or more; got 0"),
        ({"threads": 0}, "`threads` must be a whole number of 1 or more; got 0"),
        ({"layout": "CHWN"}, "`layout` must be NCHW or NHWC; got 'CHWN'"),
        ({"std": 0.0}, "`std` must be finite and above 0; got 0.0"),
        ({"mean": float("nan")}, "`mean` must be finite; got nan"),
        ({"mean": "1"}, "`mean` must be a number, or one per channel; got '1'"),
        ({"scale": [1.0, 2.0]}, "`scale` must be one number"),
    ],
)
def test_options_that_are_none(linear, data, options, said):
    with pytest.raises(PruneKitError) as raised:
        pko.score(linear(), data, **options)
    assert said in str(raised.value)


def test_nan_is_refused_and_the_examples_are_named(linear, data):
    inputs = data[0].copy()
    inputs[[3, 17]] = np.nan
    with pytest.raises(PruneKitError, match=r"NaN or infinite logits for the examples \[?106, 134"):
        pko.score(linear(), (inputs, *data[1:]))


def test_a_label_beyond_the_classes(linear, data):
    labels = data[1].copy()
    labels[0] = 3
    with pytest.raises(
        PruneKitError, match=r"the model gives 3 classes, so that labels must lie in 0 \.\.\. 2"
    ):
        pko.score(linear(), (data[0], labels))


def test_an_id_that_is_there_twice(linear, data):
    with pytest.raises(PruneKitError, match="occur more than once"):
        pko.score(linear(), (data[0], data[1], data[2] // 4))


def test_probabilities_of_every_class(linear, data, weights):
    logits = data[0].astype(np.float64) @ weights["W"] + weights["b"]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = shares / shares.sum(axis=1, keepdims=True)
    of_logits = pko.score(linear(), data, probabilities=True, batch_size=7)
    of_probabilities = pko.score(linear(behind=("Softmax",)), data, probabilities=True, from_logits=False)
    for table in (of_logits, of_probabilities):
        assert list(table) == ["predicted", "p_label", "el2n", "probabilities"]
        np.testing.assert_allclose(table["probabilities"], expected, rtol=1e-5)
