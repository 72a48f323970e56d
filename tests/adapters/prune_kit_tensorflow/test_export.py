"""Exported models score as they do in TensorFlow, and as the same weights do in PyTorch."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

import prune_kit_onnx as pko
from prune_kit.data import load_examples
from prune_kit.errors import PruneKitError
from prune_kit_tensorflow import built_in_model, export_onnx, score
from prune_kit_torch import export_onnx as export_torch
from prune_kit_torch import score as score_in_torch


def test_a_model_of_images_scores_the_same_elsewhere(tmp_path):
    digits = load_examples("digits")
    keras.utils.set_random_seed(0)
    model = built_in_model("small-cnn", digits)()
    path = export_onnx(model, np.zeros((2, 8, 8, 1), np.float32), tmp_path / "seed=0" / "epoch=3.onnx")
    assert [each.name for each in path.parent.iterdir()] == ["epoch=3.onnx"]
    names = ("el2n", "margin", "grand_last_layer")
    here, there = score(model, digits, scores=names), pko.score(path, digits, scores=names)
    assert here.ids.tolist() == there.ids.tolist()
    np.testing.assert_allclose(there["el2n"], here["el2n"], atol=1e-5)
    np.testing.assert_allclose(there["margin"], here["margin"], atol=1e-5)


def test_one_network_scores_the_same_in_all_three(tmp_path):
    """An MLP with the same weights in PyTorch and TensorFlow, and both exported."""
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(shape).astype(np.float32) / 3 for shape in ((6, 9), (9,), (9, 4), (4,))]
    x, y = rng.standard_normal((50, 6)).astype(np.float32), rng.integers(0, 4, 50)
    in_keras = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(9, activation="tanh"), keras.layers.Dense(4)]
    )
    in_keras.set_weights(weights)
    in_torch = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 4))
    with torch.no_grad():
        for parameter, weight in zip(in_torch.parameters(), weights, strict=True):
            parameter.copy_(torch.from_numpy(weight.T.copy() if weight.ndim == 2 else weight))
    hidden = np.tanh(x.astype(np.float64) @ weights[0] + weights[1])
    logits = hidden @ weights[2] + weights[3]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = np.linalg.norm(p - np.eye(4)[y], axis=1)
    found = {
        "tensorflow": score(in_keras, (x, y)),
        "torch": score_in_torch(in_torch, (x, y)),
        "tensorflow to onnx": pko.score(export_onnx(in_keras, x, tmp_path / "keras.onnx"), (x, y)),
        "torch to onnx": pko.score(export_torch(in_torch, torch.from_numpy(x), tmp_path / "t.onnx"), (x, y)),
    }
    for name, table in found.items():
        np.testing.assert_allclose(table["el2n"], expected, atol=1e-5, err_msg=name)


def two_inputs():
    tokens = keras.Input((None,), dtype="int64", name="tokens")
    mask = keras.Input((None,), dtype="int64", name="mask")
    weight = keras.ops.cast(mask, "float32")[..., None]
    embedded = keras.layers.Embedding(9, 4)(tokens) * weight
    mean = keras.ops.sum(embedded, axis=1) / keras.ops.sum(weight, axis=1)
    return keras.Model({"tokens": tokens, "mask": mask}, keras.layers.Dense(3, activation="softmax")(mean))


def test_named_inputs_of_any_length_and_the_logits_before_a_softmax(tmp_path):
    keras.utils.set_random_seed(0)
    model = two_inputs()
    ones = np.ones((2, 5), np.int64)
    with pytest.warns(UserWarning, match="ends in a softmax"):
        path = export_onnx(model, {"tokens": ones, "mask": ones}, tmp_path / "model.onnx")
    rng = np.random.default_rng(0)
    given = {
        "tokens": rng.integers(0, 9, (7, 6)),
        "mask": np.maximum(rng.integers(0, 2, (7, 6)), np.eye(6)[0]),
    }
    given["mask"] = given["mask"].astype(np.int64)
    found = next(pko.predict(path, (given, np.zeros(7, int)))).logits
    expected = np.asarray(model(given))
    p = np.exp(found - found.max(1, keepdims=True))
    np.testing.assert_allclose(p / p.sum(1, keepdims=True), expected, atol=1e-6)
    assert np.abs(found.sum(1) - 1).max() > 1e-3


def test_what_cannot_be_exported_leaves_nothing(tmp_path):
    def counted(x):
        return tf.py_function(lambda each: each.numpy()[:, :3], [x], tf.float32)

    cases = [
        (keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), "x", "`example` must be an array"),
        (keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), np.float32(1)[...], "scalar"),
        (keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), np.zeros((2, 5), "f4"), "cannot take"),
        (counted, np.zeros((2, 4), "f4"), "cannot export the model: ONNX has no EagerPyFunc"),
    ]
    for model, example, said in cases:
        with pytest.raises(PruneKitError, match=said):
            export_onnx(model, example, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
