"""`prunekit score --framework onnx`, from exported models to a kept subset."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

from prune_kit.store import Run
from prune_kit.subset_file import read_ids

ONNX = ("score", "--framework", "onnx")
TINY = (*ONNX, "--data", "tiny.npz", "--out", "run")


@pytest.fixture
def models(tmp_path):
    """seed0.onnx ... seed2.onnx: linear models from 8 features to 3 classes, and their weights."""
    weights = []
    for seed in range(3):
        weight = np.random.default_rng(seed).standard_normal((8, 3)).astype(np.float32)
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "W"], ["y"])],
            "linear",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
            [numpy_helper.from_array(weight, "W")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, tmp_path / f"seed{seed}.onnx")
        weights.append(weight)
    return weights


def el2n(inputs, weight, labels):
    logits = inputs.astype(np.float64) @ weight
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.linalg.norm(exps / exps.sum(axis=1, keepdims=True) - np.eye(3)[labels], axis=1)


def test_the_main_job_with_nothing_else(prunekit):
    """Ten small models of the digits are made and scored; aggregate and prune go on from there."""
    result = prunekit(*ONNX)
    assert result.stdout.startswith("run directory: runs/digits-onnx\n")
    assert "scored 1,347 examples: 10 seeds at epochs 6\nran on cpu\n" in result.stdout
    assert result.stderr == ""
    assert len(list(Path("runs/digits-onnx-models").rglob("*.onnx"))) == 10
    prunekit("aggregate", "runs/digits-onnx", "--out", "scores.parquet")
    prunekit("prune", "scores.parquet", "--keep", "0.5", "--out", "kept.parquet")
    assert len(read_ids("kept.parquet")) == 674
    part = Run.open("runs/digits-onnx").read_part(7, 6)
    assert part.labels.tolist() == load_digits().target[part.ids].tolist()
    assert np.mean(part["predicted"] == part.labels) > 0.9
    # Again: nothing is made, and the same is said.
    assert prunekit(*ONNX).stdout == result.stdout


def test_seeds_and_epochs_of_the_small_models(prunekit):
    told = json.loads(prunekit(*ONNX, "--seeds", "0,4", "--epochs", "2", "--out", "a", "--json").stdout)
    assert (told["seeds"], told["epochs"], told["device"]) == ([0, 4], [2], "cpu")
    told = json.loads(prunekit(*ONNX, "--seeds", "2", "--at-epochs", "0", "--out", "b", "--json").stdout)
    assert (told["seeds"], told["epochs"]) == ([0, 1], [0])


@pytest.mark.parametrize(
    "words", [["seed*.onnx"], ["."], ["seed0.onnx", "--model", "seed1.onnx", "--model", "seed2.onnx"]]
)
def test_patterns_folders_and_files(prunekit, tiny, models, words):
    prunekit(*TINY, "--model", *words, "--at-epochs", "5")
    run = Run.open("run")
    assert run.parts() == [(0, 5), (1, 5), (2, 5)]
    with np.load(tiny) as arrays:
        for seed, weight in enumerate(models):
            part = run.read_part(seed, 5)
            np.testing.assert_allclose(part["el2n"], el2n(arrays["x"], weight, arrays["y"]), rtol=1e-5)
            assert part.ids.tolist() == arrays["ids"].tolist()


def test_options_of_the_input_reach_the_model(prunekit, tiny, models):
    words = ("--model", "seed0.onnx", "--scale", "1/255", "--mean", "0.5", "--std", "1/4", "--threads", "1")
    prunekit(*TINY, *words, "--output", "y", "--batch-size", "10", "--device", "cpu")
    with np.load(tiny) as arrays:
        inputs = (arrays["x"].astype(np.float64) / 255 - 0.5) * 4
        part = Run.open("run").read_part(0, 0)
        np.testing.assert_allclose(part["el2n"], el2n(inputs, models[0], arrays["y"]), rtol=1e-4)
    found = Run.open("run").config
    assert (found["logits"], found["standardised"]["std"]) == ("y", [0.25])


def test_arrays_in_files_of_their_own(prunekit, tiny, models):
    with np.load(tiny) as arrays:
        np.save("x.npy", arrays["x"])
        np.save("y.npy", arrays["y"])
    prunekit(*ONNX, "--data", "x.npy", "--labels", "y.npy", "--model", "seed1.onnx", "--out", "run")
    assert len(Run.open("run").read_part(0, 0)) == 64


def test_a_module_gives_the_data(prunekit, models, tmp_path):
    (tmp_path / "mydata.py").write_text(
        "import numpy as np\n"
        "def make():\n    return np.ones((5, 8), np.float32), np.arange(5) % 3, np.arange(5) + 50\n"
    )
    prunekit(*ONNX, "--data", "mydata:make", "--model", "seed1.onnx", "--out", "run")
    assert Run.open("run").read_part(0, 0).ids.tolist() == [50, 51, 52, 53, 54]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "none*.onnx"], "Error: --model none*.onnx: there is no model of such a name."),
        (["--model", "none.onnx"], "Error: there is no model none.onnx."),
        (["--model", "cut.onnx"], "Error: cut.onnx is not a readable ONNX model."),
        (["--model", "seed0.onnx", "--device", "cuda"], "Error: `device` cuda cannot be had: onnxruntime is"),
        (["--model", "seed0.onnx", "--score", "grand"], "Error: the score 'grand' needs gradients"),
        (["--model", "seed0.onnx", "--output", "z"], "Error: seed0.onnx has no output 'z'"),
        (["--model", "seed0.onnx", "--data", "narrow.npz"], "the data gives float32 of shape (4, 5)"),
    ],
)
def test_what_is_wrong_is_one_line(prunekit, tiny, models, words, said):
    Path("cut.onnx").write_bytes(Path("seed0.onnx").read_bytes()[:-30])
    np.savez("narrow.npz", x=np.zeros((4, 5), np.float32), y=np.zeros(4, int))
    (line,) = prunekit(*TINY, *words, code=1).stderr.splitlines()
    assert said in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "tiny.npz"], "--framework onnx needs --model"),
        (["--model", "seed0.onnx", "--seeds", "3"], "--seeds: not with --model: nothing is trained."),
        (["--learning-rate", "0.1"], "--learning-rate: not with --framework onnx."),
        (["--checkpoint", "a.safetensors"], "--checkpoint: not with --framework onnx, where --model names"),
        (["--logits", "a.npy"], "--logits: only with --framework arrays."),
        (["--model", "seed0.onnx", "--at-epochs", "1,2"], "--at-epochs must be the one epoch"),
        (["--scale", "a"], "'a' is not a number"),
        (["--scale", "1,2"], "'1,2' must be one number"),
    ],
)
def test_wrong_usage(prunekit, tiny, models, words, said):
    assert said in prunekit(*ONNX, *words, "--out", "run", code=2).stderr


def test_options_of_exported_models_are_of_no_other_framework(prunekit, logits):
    for framework in ("torch", "arrays"):
        result = prunekit("score", "--framework", framework, "--scale", "1/255", code=2)
        assert "--scale: " in result.stderr
    assert (
        "--model must be one model with --framework torch"
        in prunekit("score", "--framework", "torch", "--model", "mlp", "--model", "resnet18", code=2).stderr
    )
