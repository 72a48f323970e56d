"""Small models for the embedded default: one hidden layer, trained by NumPy in a moment, as .onnx files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prune_kit.atomic import atomic_path
from prune_kit.data import Examples
from prune_kit.errors import MissingExtraError
from prune_kit.training import stream_seed

from .sources import as_source
from .standardise import channel_standardisation

Floats = npt.NDArray[np.float32]
_WIDTH = 64
_BATCH_SIZE = 32
_LEARNING_RATE = 0.05
_MOMENTUM = 0.9


def make_small_models(
    examples: Examples, folder: str | Path, /, *, seeds: Sequence[int], epochs: int
) -> list[Path]:
    """Train a small network per seed on images of a few pixels, and save each as an ONNX file.

    64 hidden units with ReLU, SGD with momentum 0.9, batches of 32 and a learning rate of 0.05. A file that
    is there already stays.

    Parameters
    ----------
    examples
        Images, such as the embedded digits.
    folder
        Where the files go: ``seed=0/epoch=6.onnx`` ... They take standardised images, float32 of shape
        (b, channels, height, width), and give logits.
    seeds
        Which.
    epochs
        How long each is trained; 0 saves it as initialised.

    Returns
    -------
    list of Path
        The files, in the order of `seeds`.

    Raises
    ------
    MissingExtraError
        If `onnx` is not installed.
    StoreError
        If a file cannot be written.
    """
    files = [Path(folder) / f"seed={seed}" / f"epoch={epochs}.onnx" for seed in seeds]
    prepare = channel_standardisation(as_source(examples))
    images = np.ascontiguousarray(prepare(examples.inputs).transpose(0, 3, 1, 2))
    for seed, file in zip(seeds, files, strict=True):
        if file.exists():
            continue
        weights = _trained(
            images.reshape(len(images), -1), examples.labels, examples.num_classes, seed, epochs
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(file) as aside:
            aside.write_bytes(_as_onnx(weights, images.shape[1:]))
    return files


def _trained(
    x: Floats, labels: npt.NDArray[np.int64], classes: int, seed: int, epochs: int
) -> dict[str, Floats]:
    weights = _initial(x.shape[1], classes, np.random.default_rng(stream_seed(seed, "weights")))
    speed = {name: np.zeros_like(value) for name, value in weights.items()}
    onehot = np.eye(classes, dtype=np.float32)[labels]
    for epoch in range(epochs):
        order = np.random.default_rng(stream_seed(seed, "order", epoch)).permutation(len(x))
        for start in range(0, len(x), _BATCH_SIZE):
            rows = order[start : start + _BATCH_SIZE]
            for name, gradient in _gradients(weights, x[rows], onehot[rows]).items():
                speed[name] = _MOMENTUM * speed[name] + gradient
                weights[name] = weights[name] - np.float32(_LEARNING_RATE) * speed[name]
    return weights


def _initial(size: int, classes: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Weights as He et al. 2015 draw them; biases of 0."""

    def drawn(inputs: int, outputs: int) -> Floats:
        return rng.standard_normal((inputs, outputs), dtype=np.float32) * np.float32(np.sqrt(2 / inputs))

    return {
        "hidden.weight": drawn(size, _WIDTH),
        "hidden.bias": np.zeros(_WIDTH, np.float32),
        "output.weight": drawn(_WIDTH, classes),
        "output.bias": np.zeros(classes, np.float32),
    }


def _gradients(weights: dict[str, Floats], x: Floats, onehot: Floats) -> dict[str, Floats]:
    """Of the mean cross-entropy of a batch."""
    before = x @ weights["hidden.weight"] + weights["hidden.bias"]
    hidden = np.maximum(before, 0)
    logits = hidden @ weights["output.weight"] + weights["output.bias"]
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    at_logits = (exps / exps.sum(axis=1, keepdims=True) - onehot) / np.float32(len(x))
    at_hidden = (at_logits @ weights["output.weight"].T) * (before > 0)
    return {
        "hidden.weight": x.T @ at_hidden,
        "hidden.bias": at_hidden.sum(axis=0),
        "output.weight": hidden.T @ at_logits,
        "output.bias": at_logits.sum(axis=0),
    }


def _as_onnx(weights: dict[str, Floats], shape: tuple[int, ...]) -> bytes:
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise MissingExtraError(
            f"models are written with the package onnx, which cannot be imported: {error}.",
            hint='pip install "prune-kit[onnx]"',
        ) from error
    nodes = [
        helper.make_node("Flatten", ["images"], ["pixels"]),
        helper.make_node("Gemm", ["pixels", "hidden.weight", "hidden.bias"], ["before"]),
        helper.make_node("Relu", ["before"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "output.weight", "output.bias"], ["logits"]),
    ]
    taken = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", *shape])
    classes = len(weights["output.bias"])
    given = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])
    initializers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "small-mlp", [taken], [given], initializers)
    model: Any = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
