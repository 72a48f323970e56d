"""Which output holds the logits."""

import numpy as np
import pytest
from onnx import TensorProto

import prune_kit_onnx as pko
from prune_kit.errors import PruneKitError

FLOAT = TensorProto.FLOAT


@pytest.fixture
def two_headed(build, weights):
    """Makes a model of two outputs: h (features, or twice the logits), and the logits."""

    def make(first="h", second="logits", *, double=False, flat=True):
        nodes = [
            ("Gemm", ["x", "W", "b"], [second], {}),
            ("Add", [second, second], [first], {})
            if double
            else ("Identity", ["x"], [first], {})
            if flat
            else ("Unsqueeze", ["x", "axes"], [first], {}),
        ]
        shape = ["N", 3] if double else ["N", 4] if flat else ["N", 1, 4]
        return build(
            nodes,
            inputs={"x": (FLOAT, ["N", 4])},
            outputs={first: (FLOAT, shape), second: (FLOAT, ["N", 3])},
            weights=weights | {"axes": np.array([1])},
        )

    return make


@pytest.mark.parametrize(
    ("names", "options"),
    [
        ({}, {}),
        ({"second": "head/Logits"}, {}),
        ({"second": "y", "flat": False}, {}),
        ({"second": "y", "double": True}, {"logits": "y"}),
    ],
)
def test_logits_are_found_by_name_shape_or_choice(two_headed, data, weights, names, options):
    batch = next(pko.predict(two_headed(**names), data, **options))
    np.testing.assert_allclose(batch.logits, data[0] @ weights["W"] + weights["b"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("names", "options", "said"),
    [
        (
            {"second": "y"},
            {},
            "has several outputs, and which one holds the logits cannot be told: h: tensor",
        ),
        ({}, {"logits": "z"}, "has no output 'z'; it has h: tensor(float) ['N', 4]; logits"),
        (
            {"second": "y", "flat": False},
            {"logits": "h"},
            "its output 'h' is tensor(float) of shape (N, 1, 4)",
        ),
    ],
)
def test_logits_that_cannot_be_told(two_headed, data, names, options, said):
    with pytest.raises(PruneKitError) as raised:
        pko.score(two_headed(**names), data, **options)
    assert said in str(raised.value)


def test_an_output_of_classes_is_none_of_logits(build, data):
    model = build(
        [("ArgMax", ["x"], ["y"], {"axis": 1, "keepdims": 1})],
        inputs={"x": (FLOAT, ["N", 4])},
        outputs={"y": (TensorProto.INT64, ["N", 1])},
    )
    with pytest.raises(
        PruneKitError, match=r"must give logits of shape .* its output 'y' is tensor\(int64\)"
    ):
        pko.score(model, data)


def test_a_model_bound_to_its_exporters_batch_says_so(build, data):
    """The batch is written into a Reshape, while the input says that any will do."""
    model = build(
        [("Reshape", ["x", "shape"], ["y"], {})],
        inputs={"x": (FLOAT, ["N", 4])},
        outputs={"y": (FLOAT, ["N", None])},
        weights={"shape": np.array([2, 4])},
    )
    with pytest.raises(PruneKitError, match="cannot take the data, x: float32 of shape .*batch size it was"):
        pko.score(model, data)
    assert len(pko.score(model, [(data[0][:2], data[1][:2])])) == 2


def test_a_model_that_gives_fewer_rows(build, data):
    model = build(
        [("ReduceSum", ["x", "axes"], ["y"], {})],
        inputs={"x": (FLOAT, ["N", 4])},
        outputs={"y": (FLOAT, [1, 4])},
        weights={"axes": np.array([0])},
    )
    with pytest.raises(PruneKitError, match="gave 1 rows of 'y' for 23 examples"):
        pko.score(model, data)


def test_inputs_of_different_fixed_batches(build, data):
    model = build(
        [("MatMul", ["a", "b"], ["y"], {})],
        inputs={"a": (FLOAT, [2, 4]), "b": (FLOAT, [4, 3])},
        outputs={"y": (FLOAT, [2, 3])},
    )
    with pytest.raises(
        PruneKitError, match="its inputs have batches of different sizes: a: float32 of shape"
    ):
        pko.score(model, data)
