"""Models that cannot be opened: one clear line each."""

import onnx
import pytest
from onnx import TensorProto

import prune_kit_onnx as pko
from prune_kit.errors import PruneKitError


def said_of(model, data, **options):
    with pytest.raises(PruneKitError) as raised:
        pko.score(model, data, **options)
    said = str(raised.value)
    assert "\n" not in said
    assert "onnxruntime_src" not in said
    return said


def test_no_such_file(data, tmp_path):
    assert said_of(tmp_path / "none.onnx", data).startswith(f"there is no model {tmp_path}/none.onnx.")


@pytest.mark.parametrize("content", [b"", b"hello world, this is no model", None])
def test_a_corrupt_file(linear, data, saved, content):
    path = saved(linear()[:-30] if content is None else content)
    assert said_of(path, data).startswith(f"{path} is not a readable ONNX model.")


def test_corrupt_bytes(data):
    assert said_of(b"junk", data).startswith("the model is not a readable ONNX model.")


def test_what_is_no_model(data):
    assert "`model` must be a path, bytes, an onnx.ModelProto or an" in said_of(3, data)


def test_an_opset_too_new(linear, data):
    said = said_of(linear(opset=99), data)
    assert said.startswith("the model is of opset 99; this onnxruntime knows opsets up to ")
    assert "Hint: export it with a lower opset_version" in said


def test_an_ir_version_too_new(linear, data):
    assert "has IR version 99; this onnxruntime knows versions up to" in said_of(linear(ir_version=99), data)


@pytest.fixture
def with_external_data(linear, tmp_path):
    path = tmp_path / "large.onnx"
    model = onnx.load_from_string(linear())
    onnx.save(model, path, save_as_external_data=True, location="large.data", size_threshold=0)
    return path


def test_external_data_that_is_there(linear, data, with_external_data, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    wanted = pko.score(linear(), data, scores=("el2n", "grand_last_layer"))
    found = pko.score(with_external_data, data, scores=("el2n", "grand_last_layer"))
    assert found["el2n"].tobytes() == wanted["el2n"].tobytes()
    assert found["grand_last_layer"].tobytes() == wanted["grand_last_layer"].tobytes()


@pytest.mark.parametrize("left", [None, b"abc"])
def test_external_data_that_is_missing_or_cut_short(data, with_external_data, left, capfd):
    beside = with_external_data.with_name("large.data")
    beside.unlink() if left is None else beside.write_bytes(left)
    said = said_of(with_external_data, data)
    assert f"the weights of {with_external_data}, in a file of their own, are missing or cut short" in said
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("domain", ["", "my.domain"])
def test_an_unknown_operation(build, data, domain):
    model = build(
        [("Foo", ["x"], ["y"], {"domain": domain})],
        inputs={"x": (TensorProto.FLOAT, ["N", 4])},
        outputs={"y": (TensorProto.FLOAT, ["N", 3])},
    )
    assert "has an operation that this onnxruntime does not know: " in said_of(model, data)
