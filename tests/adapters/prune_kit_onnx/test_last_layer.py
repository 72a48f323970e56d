"""GraNd of the last layer: the norm of the gradient of that layer's weight and bias, written out."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

import prune_kit_onnx as pko
from prune_kit.errors import PruneKitError

FLOAT = TensorProto.FLOAT


def gradient_norms(features, logits, labels, *, bias):
    """In float64: the gradient of cross-entropy is outer(features, p - y) for W, and p - y for b."""
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    errors = exps / exps.sum(axis=1, keepdims=True) - np.eye(logits.shape[1])[labels]
    norms = []
    for feature, error in zip(features, errors, strict=True):
        parts = [np.outer(feature, error).ravel(), *([error] if bias else [])]
        norms.append(np.linalg.norm(np.concatenate(parts)))
    return np.array(norms)


ENDINGS = {
    "Gemm": ([("Gemm", ["h", "W", "b"], ["y"], {})], True),
    "Gemm, transposed": ([("Gemm", ["h", "Wt", "b"], ["y"], {"transB": 1})], True),
    "Gemm without bias": ([("Gemm", ["h", "W"], ["y"], {})], False),
    "MatMul": ([("MatMul", ["h", "W"], ["y"], {})], False),
    "MatMul + Add": ([("MatMul", ["h", "W"], ["m"], {}), ("Add", ["m", "b"], ["y"], {})], True),
    "Add + MatMul": ([("MatMul", ["h", "W"], ["m"], {}), ("Add", ["b", "m"], ["y"], {})], True),
    "turned weight": (
        [("Transpose", ["Wt"], ["w"], {}), ("MatMul", ["h", "w"], ["m"], {}), ("Identity", ["m"], ["y"], {})],
        False,
    ),
    "Gemm + Softmax": ([("Gemm", ["h", "W", "b"], ["l"], {}), ("Softmax", ["l"], ["y"], {})], True),
}


@pytest.fixture
def with_ending(build, weights):
    def make(nodes, batch="N"):
        return build(
            [("Relu", ["x"], ["h"], {}), *nodes],
            inputs={"x": (FLOAT, [batch, 4])},
            outputs={"y": (FLOAT, [batch, 3])},
            weights=weights | {"Wt": weights["W"].T.copy(), "two": np.float32(2)},
        ).SerializeToString()

    return make


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("batch", ["N", 4])
def test_the_last_layer_is_found(with_ending, data, weights, ending, batch):
    nodes, bias = ENDINGS[ending]
    inputs, labels, _ = data
    features = np.maximum(inputs.astype(np.float64), 0)
    logits = features @ weights["W"] + (weights["b"] if bias else 0)
    options = {"from_logits": False} if "Softmax" in ending else {}
    table = pko.score(with_ending(nodes, batch), data, scores=("grand_last_layer",), batch_size=9, **options)
    expected = gradient_norms(features, logits, labels, bias=bias)
    np.testing.assert_allclose(table["grand_last_layer"], expected, rtol=2e-5)


def test_predict_gives_the_features(with_ending, data):
    batch = next(pko.predict(with_ending(ENDINGS["MatMul"][0]), data, features=True))
    np.testing.assert_array_equal(batch.features, np.maximum(data[0], 0))
    assert not batch.bias


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([("Relu", ["h"], ["y"], {})], "no linear layer gives the output 'y' (it comes from Relu)"),
        ([("Gemm", ["h", "W", "b"], ["y"], {"alpha": 0.5})], "(it comes from Gemm)"),
        ([("MatMul", ["h", "W"], ["m"], {}), ("Mul", ["m", "two"], ["y"], {})], "(it comes from Mul)"),
        (
            [
                ("Transpose", ["h"], ["t"], {}),
                ("MatMul", ["h", "t"], ["s"], {}),
                ("MatMul", ["s", "h"], ["y"], {}),
            ],
            "(it comes from MatMul)",
        ),
    ],
)
def test_models_that_have_none(with_ending, data, nodes, said):
    with pytest.raises(PruneKitError) as raised:
        pko.score(with_ending(nodes), data, scores=("grand_last_layer",))
    assert said in str(raised.value)
    assert "Hint: the model must end in a Gemm or MatMul with constant weights" in str(raised.value)


def test_a_session_gives_no_graph(linear, data):
    session = onnxruntime.InferenceSession(linear(), providers=["CPUExecutionProvider"])
    with pytest.raises(PruneKitError, match="found in the graph, which the model does not give"):
        pko.score(session, data, scores=("grand_last_layer",))


def test_a_layer_that_does_not_give_the_logits_is_refused(data):
    from prune_kit_onnx.last_layer import check_last_layer

    rng = np.random.default_rng(0)
    features, weight, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 4), (4, 3), 3))
    logits = features @ weight + bias
    check_last_layer(logits, features, weight, bias, is_softmax=False, name="m")
    for wrong in ((logits, features, weight, None), (logits + 0.1, features, weight, bias),
                  (logits, features[:, :3], weight, bias)):  # fmt: skip
        with pytest.raises(PruneKitError, match="does not give the logits"):
            check_last_layer(*wrong, is_softmax=False, name="m")
