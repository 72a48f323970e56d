"""Networks with the same weights in PyTorch and TensorFlow have the same scores: those by definition.

The reference is float64 throughout: logits and a backward pass for each example alone by PyTorch's autograd,
the scores of the logits by their definitions in NumPy. For the MLP, both passes are NumPy's too.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

import prune_kit_tensorflow
import prune_kit_torch
from prune_kit_tensorflow import models as keras_models
from prune_kit_torch import models as torch_models

N, C = 6, 5
SCORES = ("el2n", "margin", "grand")
TOLERANCES = {"el2n": {"rtol": 0, "atol": 1e-5}, "margin": {"rtol": 0, "atol": 1e-5}, "grand": {"rtol": 2e-4}}
HEADS, WIDTH, STEPS = 2, 8, 7


@dataclass(frozen=True)
class Network:
    """One architecture in both frameworks."""

    shape: tuple[int, ...]
    """Of an example, as PyTorch has it: channels first."""
    in_torch: Callable[[int], nn.Module]
    in_keras: Callable[[int], keras.Model]

    def channels_last(self, x: Any) -> Any:
        """Images as Keras has them; other inputs as they are."""
        return np.ascontiguousarray(np.moveaxis(x, 1, -1)) if len(self.shape) == 3 else x


def numpy(tensor):
    return tensor.detach().numpy()


def dense(layer):
    """(out, in) becomes (in, out)."""
    return [numpy(layer.weight).T, *([] if layer.bias is None else [numpy(layer.bias)])]


def convolution(layer):
    """(out, in, height, width) becomes (height, width, in, out)."""
    weight = numpy(layer.weight).transpose(2, 3, 1, 0)
    return [weight, *([] if layer.bias is None else [numpy(layer.bias)])]


def batch_norm(layer):
    """Scale, shift, and the moving statistics in Keras' order."""
    return [numpy(t) for t in (layer.weight, layer.bias, layer.running_mean, layer.running_var)]


def layer_norm(layer):
    return [numpy(layer.weight), numpy(layer.bias)]


def lstm(layer):
    """The gates are input, forget, cell, output in both; PyTorch has two biases where Keras has their sum."""
    bias = numpy(layer.bias_ih_l0 + layer.bias_hh_l0)
    return [numpy(layer.weight_ih_l0).T, numpy(layer.weight_hh_l0).T, bias]


def attention(layer):
    """(3 heads size, in) becomes three times (in, heads, size), and (out, heads size) (heads, size, out)."""
    weights = []  # of query, key and value
    for w, b in zip(layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3), strict=True):
        weights += [numpy(w).T.reshape(WIDTH, HEADS, -1), numpy(b).reshape(HEADS, -1)]
    return [*weights, numpy(layer.out_proj.weight).T.reshape(HEADS, -1, WIDTH), numpy(layer.out_proj.bias)]


LAYOUTS = {
    nn.Linear: dense,
    nn.Conv2d: convolution,
    torch_models.SameConv2d: convolution,
    nn.BatchNorm2d: batch_norm,
    nn.LayerNorm: layer_norm,
    nn.LSTM: lstm,
    nn.MultiheadAttention: attention,
}


def copy_in_order(source: nn.Module, target: keras.Model) -> None:
    """Layer by layer, in the order in which both make them."""
    inside = {id(m.out_proj) for m in source.modules() if isinstance(m, nn.MultiheadAttention)}
    givers = [m for m in source.modules() if type(m) in LAYOUTS and id(m) not in inside]
    # Keras lists layers by their depth; the numbers in their names, kind by kind, are the order of making.
    takers = [layer for layer in target.layers if layer.weights]
    for kind in {type(layer) for layer in takers}:
        matching = sorted((t for t in takers if type(t) is kind), key=number)
        for giver in [m for m in givers if KINDS[LAYOUTS[type(m)]] is kind]:
            matching.pop(0).set_weights(LAYOUTS[type(giver)](giver))
        assert not matching


KINDS = {
    dense: keras.layers.Dense,
    convolution: keras.layers.Conv2D,
    batch_norm: keras.layers.BatchNormalization,
    layer_norm: keras.layers.LayerNormalization,
    lstm: keras.layers.LSTM,
    attention: keras.layers.MultiHeadAttention,
}


def number(layer):
    _, _, digits = layer.name.rpartition("_")
    return int(digits) if digits.isdigit() else 0


class LastOfLstm(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.lstm = nn.LSTM(4, WIDTH, batch_first=True)
        # Keras has one bias; a second one that is trained would count twice in the gradient.
        self.lstm.bias_hh_l0.requires_grad_(False)
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def keras_lstm(classes):
    return keras.Sequential([keras.Input((STEPS, 4)), keras.layers.LSTM(WIDTH), keras.layers.Dense(classes)])


class TransformerBlock(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.before_attention = nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.before_mlp = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, x):
        h = self.before_attention(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        x = x + self.mlp(self.before_mlp(x))
        return self.head(x.mean(dim=1))


def keras_transformer(classes):
    layers = keras.layers
    x = tokens = keras.Input((STEPS, WIDTH))
    h = layers.LayerNormalization(epsilon=1e-5)(x)
    x = x + layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(h, h)
    h = layers.LayerNormalization(epsilon=1e-5)(x)
    h = layers.Dense(2 * WIDTH, activation="gelu")(h)
    x = x + layers.Dense(WIDTH)(h)
    return keras.Model(tokens, layers.Dense(classes)(layers.GlobalAveragePooling1D()(x)))


NETWORKS = {
    "mlp": Network(
        (12,),
        lambda classes: torch_models.mlp(12, classes, (16, 16)),
        lambda classes: keras_models.mlp((12,), classes, (16, 16)),
    ),
    # 10 pixels become 5, 3 and 2: "same" pads once evenly and twice more at the end.
    "simple-cnn": Network(
        (3, 10, 10),
        lambda classes: torch_models.simple_cnn(3, classes, (4, 8, 8)),
        lambda classes: keras_models.simple_cnn((10, 10, 3), classes, (4, 8, 8)),
    ),
    "resnet18": Network(
        (3, 16, 16),
        lambda classes: torch_models.resnet(torch_models.BasicBlock, (2, 2, 2, 2), 3, classes, width=4),
        lambda classes: keras_models.resnet(
            keras_models.basic_block, (2, 2, 2, 2), (16, 16, 3), classes, width=4
        ),
    ),
    "lstm": Network((STEPS, 4), LastOfLstm, keras_lstm),
    "transformer": Network((STEPS, WIDTH), TransformerBlock, keras_transformer),
}


def examples(network):
    generator = np.random.default_rng(7)
    x = generator.normal(size=(N, *network.shape)).astype(np.float32)
    return x, generator.integers(C, size=N)


@functools.cache
def torch_model(name):
    """The network in float32, its weights spread so that the predictions differ from example to example."""
    torch.manual_seed(0)
    model = NETWORKS[name].in_torch(C).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.3, 2)
    return model


def of_logits(logits, labels):
    """EL2N and margin by their definitions."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    others = p.copy()
    others[rows, labels] = -np.inf
    return {
        "el2n": np.linalg.norm(p - np.eye(C)[labels], axis=1),
        "margin": others.max(axis=1) - p[rows, labels],
    }


@functools.cache
def reference(name):
    x, y = examples(NETWORKS[name])
    model = torch_model(name)
    wide = NETWORKS[name].in_torch(C).double().eval()
    wide.load_state_dict(model.state_dict())
    trained = [p for p in wide.parameters() if p.requires_grad]
    logits, norms = [], []
    for i in range(N):
        row = wide(torch.from_numpy(x[i : i + 1]).double())
        loss = nn.functional.cross_entropy(row, torch.from_numpy(y[i : i + 1]))
        gradients = torch.autograd.grad(loss, trained)
        norms.append(torch.sqrt(sum(g.square().sum() for g in gradients)).item())
        logits.append(row.detach().numpy()[0])
    return {**of_logits(np.array(logits), y), "grand": np.array(norms)}


def assert_same(table, name):
    for column, expected in reference(name).items():
        np.testing.assert_allclose(table[column], expected, **TOLERANCES[column], err_msg=column)


@pytest.fixture
def policy(request):
    """Inputs and layers that Keras makes meanwhile are of this type."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(request.param)
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


@pytest.mark.parametrize("name", NETWORKS)
def test_the_examples_tell_scores_apart(name):
    """Scores that are all alike, or of sure predictions, would agree whatever the weights."""
    assert np.ptp(reference(name)["el2n"]) > 0.05
    assert np.ptp(reference(name)["margin"]) > 0.05
    assert reference(name)["el2n"].min() > 1e-3


@pytest.mark.parametrize("name", NETWORKS)
def test_pytorch(name):
    assert_same(prune_kit_torch.score(torch_model(name), examples(NETWORKS[name]), scores=SCORES), name)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("policy", ["float32", "float64"], indirect=True)
def test_tensorflow(name, policy):
    model = NETWORKS[name].in_keras(C)
    copy_in_order(torch_model(name), model)
    assert {v.dtype for v in model.trainable_variables} == {policy}
    x, y = examples(NETWORKS[name])
    table = prune_kit_tensorflow.score(model, (NETWORKS[name].channels_last(x), y), scores=SCORES)
    assert_same(table, name)


@pytest.mark.parametrize("name", ["mlp", "simple-cnn", "resnet18"])
def test_tangent_kernels(name):
    """Both frameworks order logits and examples alike; parameters are summed over."""
    model = NETWORKS[name].in_keras(C)
    copy_in_order(torch_model(name), model)
    x, _ = examples(NETWORKS[name])
    found = prune_kit_torch.neural_tangent_kernel(torch_model(name), torch.from_numpy(x)).numpy()
    kernel = prune_kit_tensorflow.neural_tangent_kernel(model, NETWORKS[name].channels_last(x))
    np.testing.assert_allclose(found, kernel, rtol=0, atol=1e-4 * np.abs(found).max())


def test_numpy():
    """Layer by layer, in float64: h' = max(0, h W + b), and back."""
    x, y = examples(NETWORKS["mlp"])
    linear = [m for m in torch_model("mlp").modules() if isinstance(m, nn.Linear)]
    weights = [m.weight.detach().double().numpy().T for m in linear]
    biases = [m.bias.detach().double().numpy() for m in linear]
    hidden = [x.astype(np.float64)]
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        hidden.append(np.maximum(hidden[-1] @ w + b, 0))
    logits = hidden[-1] @ weights[-1] + biases[-1]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    back = p - np.eye(C)[y]
    squared = np.zeros(N)
    for w, h in zip(weights[::-1], hidden[::-1], strict=True):
        of_weight = h[:, :, None] * back[:, None, :]
        squared += (of_weight**2).sum(axis=(1, 2)) + (back**2).sum(axis=1)
        back = (back @ w.T) * (h > 0)
    for column, values in {**of_logits(logits, y), "grand": np.sqrt(squared)}.items():
        np.testing.assert_allclose(values, reference("mlp")[column], rtol=1e-10, atol=1e-12)
