"""Tiny models built by hand, whose outputs NumPy computes too."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

_FLOAT = TensorProto.FLOAT


def _build(nodes, *, inputs, outputs, weights=(), opset=17, ir_version=8):
    """A model: nodes as (kind, inputs, outputs, attributes), inputs and outputs as name -> (type, shape)."""
    made = [helper.make_node(kind, taken, given, **attributes) for kind, taken, given, attributes in nodes]
    ends = [
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in each.items()]
        for each in (inputs, outputs)
    ]
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in dict(weights).items()]
    graph = helper.make_graph(made, "test", *ends, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


@pytest.fixture(scope="session")
def build():
    return _build


@pytest.fixture(scope="session")
def weights():
    """Of a linear layer from 4 features to 3 classes."""
    rng = np.random.default_rng(5)
    return {
        "W": rng.standard_normal((4, 3)).astype(np.float32),
        "b": rng.standard_normal(3).astype(np.float32),
    }


@pytest.fixture(scope="session")
def linear(weights):
    """Makes a linear model: logits = x @ W + b, and what is asked for behind it."""

    def make(batch="N", behind=(), output="logits", opset=17, ir_version=8):
        nodes = [("Gemm", ["x", "W", "b"], ["at0"], {})]
        for i, kind in enumerate(behind):
            nodes.append((kind, [f"at{i}"], [f"at{i + 1}"], {}))
        nodes[-1] = (nodes[-1][0], nodes[-1][1], [output], {})
        return _build(
            nodes,
            inputs={"x": (_FLOAT, [batch, 4])},
            outputs={output: (_FLOAT, [batch, 3])},
            weights=weights,
            opset=opset,
            ir_version=ir_version,
        ).SerializeToString()

    return make


@pytest.fixture(scope="session")
def data():
    """23 examples of 4 features: inputs, labels, ids."""
    rng = np.random.default_rng(6)
    return rng.standard_normal((23, 4)).astype(np.float32), rng.integers(0, 3, 23), np.arange(23) * 2 + 100


@pytest.fixture(scope="session")
def by_definition():
    """EL2N of float64 logits as Definition 2.3 of Paul et al. 2021 has it."""

    def el2n(logits, labels):
        logits = np.asarray(logits, np.float64)
        exps = np.exp(logits - logits.max(axis=1, keepdims=True))
        errors = exps / exps.sum(axis=1, keepdims=True) - np.eye(logits.shape[1])[labels]
        return np.linalg.norm(errors, axis=1)

    return el2n


@pytest.fixture(scope="session")
def on_images():
    """Makes a model of images that gives their channels' weighted sums; shape without the batch."""

    def make(shape, kind=_FLOAT, batch="N", axes=(2, 3)):
        nodes = [
            ("Cast", ["image"], ["cast"], {"to": _FLOAT}),
            ("ReduceSum", ["cast", "axes"], ["logits"], {"keepdims": 0}),
        ]
        return _build(
            nodes,
            inputs={"image": (kind, [batch, *shape])},
            outputs={"logits": (_FLOAT, [batch, None])},
            weights={"axes": np.array(axes, np.int64)},
        ).SerializeToString()

    return make


@pytest.fixture
def saved(tmp_path):
    """Saves bytes or a ModelProto under a name."""

    def save(model, name="model.onnx"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(model, onnx.ModelProto):
            onnx.save(model, path)
        else:
            path.write_bytes(model)
        return path

    return save
