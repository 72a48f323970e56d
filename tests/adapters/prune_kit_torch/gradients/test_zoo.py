"""Every kind of model against the definition, in float64, float32 and bfloat16."""

import math
import warnings

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint

from prune_kit_torch.gradients import GradientNorms, gradient_norms

# torch's own remarks, on even kernels and on copying a traced module.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]

CLASSES = 5


class Lambda(nn.Module):
    def __init__(self, function, **modules):
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)
        self.function = function

    def forward(self, *inputs, **named):
        return self.function(self, *inputs, **named)


def head(features):
    return nn.Linear(features, CLASSES)


def images(channels=3, size=8):
    return lambda b: torch.randn(b, channels, size, size)


def vectors(features=12):
    return lambda b: torch.randn(b, features)


def sequences(length=7, features=6):
    return lambda b: torch.randn(b, length, features)


def tokens(length=7, vocabulary=11):
    return lambda b: torch.randint(0, vocabulary, (b, length))


ZOO = {}


def zoo(make_inputs):
    def add(make):
        ZOO[make.__name__] = (make, make_inputs)
        return make

    return add


def convolutional(*layers, channels, space=2):
    pool = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[space](2)
    return nn.Sequential(*layers, nn.Tanh(), pool, nn.Flatten(), head(channels * 2**space))


@zoo(vectors())
def mlp():
    return nn.Sequential(
        nn.Linear(12, 16), nn.ReLU(inplace=True), nn.Linear(16, 9, bias=False), nn.GELU(), head(9)
    )


@zoo(images())
def cnn_batchnorm_inplace():
    return convolutional(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 6, 3, stride=2),
        channels=6,
    )


@zoo(images())
def grouped_dilated():
    return convolutional(
        nn.Conv2d(3, 8, 3, padding=2, dilation=2),
        nn.ReLU(),
        nn.Conv2d(8, 12, 3, groups=4, stride=2),
        channels=12,
    )


@zoo(images())
def depthwise_separable():
    return convolutional(
        nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.GroupNorm(2, 8), nn.SiLU(),
        nn.Conv2d(8, 6, 1), channels=6,
    )  # fmt: skip


@zoo(images())
def reflect_padding():
    return convolutional(
        nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect"), nn.ReLU(),
        nn.Conv2d(6, 6, 3, padding=(2, 1), padding_mode="circular"), channels=6,
    )  # fmt: skip


@zoo(images())
def same_padding_even_kernel():
    return convolutional(
        nn.Conv2d(3, 6, (4, 3), padding="same"), nn.Tanh(), nn.Conv2d(6, 6, 2, padding="valid"), channels=6
    )


@zoo(lambda b: torch.randn(b, 4, 15))
def conv1d():
    return convolutional(
        nn.Conv1d(4, 8, 5, padding=2), nn.ELU(), nn.Conv1d(8, 6, 3, stride=2), channels=6, space=1
    )


@zoo(lambda b: torch.randn(b, 2, 5, 6, 5))
def conv3d():
    return convolutional(
        nn.Conv3d(2, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv3d(4, 4, (1, 2, 3), dilation=(1, 2, 1)),
        channels=4,
        space=3,
    )


@zoo(images())
def transposed_convolutions():
    return convolutional(
        nn.ConvTranspose2d(3, 6, 3, stride=2, output_padding=1), nn.Tanh(),
        nn.ConvTranspose2d(6, 4, 2, groups=2), channels=4,
    )  # fmt: skip


@zoo(lambda b: torch.randn(b, 3, 9))
def transposed_conv1d():
    return convolutional(nn.ConvTranspose1d(3, 4, 4, stride=3, padding=2, dilation=2), channels=4, space=1)


@zoo(images())
def many_channels_few_pixels():
    return convolutional(
        nn.Conv2d(3, 40, 3, stride=2, padding=1), nn.BatchNorm2d(40), nn.ReLU(),
        nn.Conv2d(40, 40, 3, padding=1), channels=40,
    )  # fmt: skip


@zoo(images(6, 5))
def instance_and_group_norm():
    return convolutional(
        nn.Conv2d(6, 6, 3), nn.InstanceNorm2d(6, affine=True), nn.GroupNorm(3, 6), nn.PReLU(6), channels=6
    )


@zoo(vectors())
def batchnorm1d_prelu():
    return nn.Sequential(
        nn.Linear(12, 8), nn.BatchNorm1d(8), nn.PReLU(), nn.Linear(8, 8), nn.PReLU(8), head(8)
    )


@zoo(sequences())
def layernorm_rmsnorm():
    return nn.Sequential(
        nn.Linear(6, 8),
        nn.LayerNorm(8),
        nn.Linear(8, 8),
        nn.RMSNorm(8),
        nn.LayerNorm((7, 8)),
        nn.Flatten(),
        head(56),
    )


@zoo(tokens())
def embedding_mean():
    return Lambda(
        lambda m, x: m.out(m.table(x).mean(1)), table=nn.Embedding(11, 8, padding_idx=0), out=head(8)
    )


@zoo(tokens())
def embedding_bag_weighted():
    def forward(m, x):
        return m.out(torch.cat([m.mean(x), m.sum(x, per_sample_weights=x.to(m.out.weight) + 0.5)], 1))

    return Lambda(
        forward,
        mean=nn.EmbeddingBag(11, 4, padding_idx=3),
        sum=nn.EmbeddingBag(11, 5, mode="sum"),
        out=head(9),
    )


@zoo(tokens())
def embedding_bag_offsets():
    def forward(m, x):
        offsets = torch.arange(0, x.numel(), x.shape[1])
        return m.out(m.bag(x.flatten(), offsets))

    return Lambda(forward, bag=nn.EmbeddingBag(11, 6), out=head(6))


@zoo(tokens())
def tied_embedding():
    def forward(m, x):
        return (m.inner(m.table(x)) @ m.table.weight.t()).mean(1)

    return Lambda(forward, table=nn.Embedding(11, 6), inner=nn.Linear(6, 6))


class TiedLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down, self.out = nn.Linear(12, 12), nn.Linear(12, 12), head(12)
        self.down.weight = self.up.weight

    def forward(self, x):
        return self.out(torch.tanh(self.down(torch.tanh(self.up(x)))))


@zoo(vectors())
def tied_linear():
    return TiedLinear()


class AutoEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.out = nn.Linear(12, 7), head(12)

    def forward(self, x):
        return self.out(F.linear(torch.tanh(self.up(x)), self.up.weight.t()))


@zoo(vectors())
def tied_to_its_transpose():
    return AutoEncoder()


@zoo(images(4, 6))
def module_called_twice():
    conv = nn.Conv2d(4, 4, 3, padding=1)
    return convolutional(conv, nn.Tanh(), conv, nn.AvgPool2d(2), conv, channels=4)


@zoo(sequences())
def linear_called_in_a_loop():
    def forward(m, x):
        h = x.new_zeros(len(x), 8)
        for t in range(x.shape[1]):
            h = torch.tanh(m.inner(h) + m.outer(x[:, t]))
        return m.out(h)

    return Lambda(forward, inner=nn.Linear(8, 8), outer=nn.Linear(6, 8), out=head(8))


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 3, 3, 3) * 0.3)
        self.scale = nn.Parameter(torch.rand(8, 1, 1))
        self.shift = nn.Parameter(torch.randn(8, 4, 4))
        self.power = nn.Parameter(torch.rand(()) + 1)
        self.last = nn.Parameter(torch.randn(8, CLASSES))
        self.bias = nn.Parameter(torch.zeros(CLASSES))

    def forward(self, x):
        x = F.conv2d(x, self.weight, stride=2, padding=1)
        x = F.relu_(x * self.scale + self.shift)
        x = (x.mean((2, 3)) + 0.1) ** self.power
        x = x / (1 + self.scale.flatten())
        y = x @ self.last
        y += self.bias
        return y


@zoo(images())
def functional_calls_and_bare_parameters():
    return Functional()


class Attention(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, **options)
        self.query = nn.Parameter(torch.randn(1, 3, 8))
        self.out = head(24)
        self.inner = nn.Linear(6, 8)

    def forward(self, x):
        x = self.inner(x)
        x = self.attention(x, x, x)[0] + x
        return self.out(
            self.attention(self.query.expand(len(x), -1, -1), x, x, need_weights=False)[0].flatten(1)
        )


@zoo(sequences())
def self_and_cross_attention():
    return Attention()


@zoo(sequences())
def attention_with_other_widths():
    def forward(m, x):
        return m.out(m.attention(m.inner(x), x, x[..., :4])[0].mean(1))

    return Lambda(
        forward, attention=nn.MultiheadAttention(8, 4, kdim=6, vdim=4, batch_first=True, add_bias_kv=True),
        inner=nn.Linear(6, 8), out=head(8),
    )  # fmt: skip


@zoo(sequences())
def transformer_layers():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True, norm_first=True)
    return Lambda(
        lambda m, x: m.out(m.body(m.inner(x)).mean(1)), inner=nn.Linear(6, 8), out=head(8),
        body=nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
    )  # fmt: skip


@zoo(lambda b: (torch.randn(b, 4, 8), torch.randn(b, 6, 8)))
def decoder_two_inputs():
    return Lambda(
        lambda m, target, memory: m.out(m.body(target, memory).mean(1)), out=head(8),
        body=nn.TransformerDecoderLayer(8, 2, 16, batch_first=True),
    )  # fmt: skip


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, 12))
        self.positions = nn.Parameter(torch.randn(1, 5, 12) * 0.02)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(12), nn.LayerNorm(12), nn.LayerNorm(12)
        self.qkv, self.proj = nn.Linear(12, 36), nn.Linear(12, 12)
        self.mlp = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
        self.out = head(12)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, t, 3, 2, d // 2).permute(2, 0, 3, 1, 4)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d))
        x = x + self.mlp(self.norm2(x))
        return self.out(self.norm3(x)[:, 0])


@zoo(images())
def vit():
    return Vit()


class ConvNextBlock(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(1e-6 * torch.ones(dim))

    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.gamma * self.down(F.gelu(self.up(y)))).permute(0, 3, 1, 2)


@zoo(images())
def convnext():
    return convolutional(nn.Conv2d(3, 8, 2, stride=2), ConvNextBlock(), ConvNextBlock(), channels=8)


def recurrent(layer, *, features, batch_first=True):
    def forward(m, x):
        y = m.body(x if batch_first else x.transpose(0, 1))[0]
        return m.out(y[:, -1] if batch_first else y[-1])

    return Lambda(forward, body=layer, out=head(features))


@zoo(sequences())
def lstm_bidirectional():
    return recurrent(nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True), features=10)


@zoo(sequences())
def lstm_time_first():
    return recurrent(nn.LSTM(6, 5, bias=False), features=5, batch_first=False)


@zoo(sequences())
def gru_bidirectional():
    return recurrent(
        nn.GRU(6, 5, num_layers=2, bidirectional=True, batch_first=True, dropout=0.3), features=10
    )


@zoo(sequences())
def elman():
    layer = nn.RNN(6, 5, nonlinearity="relu", batch_first=True)
    return nn.Sequential(recurrent(layer, features=5), nn.Linear(CLASSES, CLASSES))


@zoo(sequences())
def cells():
    def forward(m, x):
        h, g, c, e = m.start.expand(len(x), -1), x.new_zeros(len(x), 5), x.new_zeros(len(x), 5), None
        for t in range(x.shape[1]):
            h, (g, c), e = m.gru(x[:, t], h), m.lstm(x[:, t], (g, c)), m.elman(x[:, t], e)
        return m.out(h + g + e)

    model = Lambda(forward, gru=nn.GRUCell(6, 5), lstm=nn.LSTMCell(6, 5), elman=nn.RNNCell(6, 5), out=head(5))
    model.start = nn.Parameter(torch.randn(1, 5))
    return model


@zoo(vectors())
def weight_norm():
    return nn.Sequential(
        parametrizations.weight_norm(nn.Linear(12, 8)), nn.Tanh(), parametrizations.weight_norm(head(8))
    )


@zoo(images())
def parametrized():
    class Symmetric(nn.Module):
        def forward(self, w):
            return w.triu() + w.triu(1).transpose(-1, -2)

    conv = parametrizations.weight_norm(nn.Conv2d(3, 6, 3))
    square = nn.Linear(6, 6)
    parametrize.register_parametrization(square, "weight", Symmetric())
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), square, nn.Tanh(), head(6))


@zoo(vectors())
def spectral_norm():
    return nn.Sequential(parametrizations.spectral_norm(nn.Linear(12, 8)), nn.Tanh(), head(8))


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.first, self.reentrant = nn.Linear(12, 12), reentrant
        self.body = nn.Sequential(
            nn.Linear(12, 12), nn.ReLU(inplace=True), nn.LayerNorm(12), nn.Linear(12, 12)
        )
        self.out = head(12)

    def forward(self, x):
        x = checkpoint(self.body, self.first(x), use_reentrant=self.reentrant)
        return self.out(checkpoint(self.body, x, use_reentrant=self.reentrant))


@zoo(vectors())
def checkpointed():
    return Checkpointed(False)


@zoo(vectors())
def checkpointed_reentrant():
    return Checkpointed(True)


@zoo(sequences(3, 3))
def axes_as_long_as_the_batch():
    # Sequence length, features and batch are all 3 where the test says so.
    def forward(m, x):
        y = m.mix(x.transpose(0, 1)).transpose(0, 1)
        y = torch.tanh(m.time(y.transpose(1, 2)).transpose(1, 2))
        return m.out(y.flatten(1))

    return Lambda(forward, mix=nn.Linear(3, 3), time=nn.Linear(3, 3), out=head(9))


@zoo(images(6, 6))
def frames_as_batch():
    def forward(m, x):
        b = len(x)
        y = torch.relu(m.conv(x.reshape(b * 3, 2, 6, 6)))
        return m.out(m.norm(y).mean((2, 3)).view(b, 3, 4).flatten(1))

    return Lambda(forward, conv=nn.Conv2d(2, 4, 3), norm=nn.BatchNorm2d(4), out=head(12))


@zoo(sequences())
def shared_positions():
    def forward(m, x):
        return m.out((m.inner(x) + m.positions(torch.arange(x.shape[1]))).relu().mean(1))

    return Lambda(forward, positions=nn.Embedding(9, 8), inner=nn.Linear(6, 8), out=head(8))


@zoo(vectors())
def frozen_parts():
    model = nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), head(8))
    for p in (*model[0].parameters(), model[3].bias):
        p.requires_grad_(False)
    return model


@zoo(vectors())
def zero_started_branch():
    def forward(m, x):
        return m.out(x + m.gate * m.up(F.relu(m.down(x))))

    model = Lambda(forward, down=nn.Linear(12, 6), up=nn.Linear(6, 12), out=head(12))
    model.gate = nn.Parameter(torch.zeros(()))
    return model


SLOW = {}


def slow(make_inputs):
    def add(make):
        SLOW[make.__name__] = (make, make_inputs)
        return make

    return add


@slow(lambda b: (torch.randn(b, 4), torch.randn(b, 3)))
def bilinear():
    return Lambda(lambda m, x, y: m.out(m.mix(x, y)), mix=nn.Bilinear(4, 3, 6), out=head(6))


@slow(sequences())
def einsum():
    model = Lambda(
        lambda m, x: m.out(torch.einsum("btd,hdk->bhk", x, m.weight).tanh().flatten(1)), out=head(8)
    )
    model.weight = nn.Parameter(torch.randn(2, 6, 4))
    return model


@slow(tokens())
def embedding_bag_max():
    return Lambda(lambda m, x: m.out(m.bag(x)), bag=nn.EmbeddingBag(11, 6, mode="max"), out=head(6))


@slow(sequences())
def lstm_projected():
    return recurrent(nn.LSTM(6, 5, proj_size=3, batch_first=True), features=3)


@slow(sequences())
def packed_sequences():
    def forward(m, x):
        lengths = 1 + (x[:, 0, 0] > 0).long() * (x.shape[1] - 1)
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return m.out(m.body(packed)[1][-1])

    return Lambda(forward, body=nn.GRU(6, 5, batch_first=True), out=head(5))


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x * w * w

    @staticmethod
    def backward(ctx, grad):
        x, w = ctx.saved_tensors
        return grad * w * w, (grad * 2 * x * w).sum(0)


@slow(vectors())
def own_autograd_function():
    model = Lambda(lambda m, x: m.out(Square.apply(x, m.weight)), out=head(12))
    model.weight = nn.Parameter(torch.randn(12))
    return model


@slow(vectors())
def scripted_part():
    model = nn.Sequential(nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 8)).double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return nn.Sequential(torch.jit.trace(model, torch.randn(2, 12).double()), head(8))


@slow(vectors())
def masked_rows():
    def forward(m, x):
        y = x.new_zeros(len(x), 8)
        first = x[:, 0] > 0
        y[first] = m.left(x[first])
        y[~first] = m.right(x[~first])
        return m.out(y)

    return Lambda(forward, left=nn.Linear(12, 8), right=nn.Linear(12, 8), out=head(8))


def build(name, batch, dtype=torch.float64, seed=0):
    make, make_inputs = (ZOO | SLOW)[name]
    torch.manual_seed(seed)
    model = make()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    inputs = make_inputs(batch)
    many = inputs if isinstance(inputs, tuple) else (inputs,)
    many = tuple(t.to(dtype) if t.is_floating_point() else t for t in many)
    return (
        model.to(dtype),
        many if isinstance(inputs, tuple) else many[0],
        torch.randint(0, CLASSES, (batch,)),
    )


def relative(norms, reference):
    return float(((norms.double() - reference).abs() / reference).max())


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_float64(name, batch, loop):
    model, inputs, labels = build(name, batch)
    if name == "cells":
        model.eval()
    norms = gradient_norms(model, inputs, labels, verify=False)
    assert norms.shape == (batch,)
    assert norms.dtype == torch.float64
    assert relative(norms, loop(model, inputs, labels)) < 1e-10


@pytest.mark.parametrize("name", ZOO)
def test_float32(name, loop):
    model, inputs, labels = build(name, 6, torch.float32, seed=1)
    norms = gradient_norms(model, inputs, labels)
    assert norms.dtype == torch.float32
    assert relative(norms, loop(model, inputs, labels)) < 1e-5


@pytest.mark.parametrize(
    "name", ["mlp", "cnn_batchnorm_inplace", "vit", "convnext", "embedding_mean", "tied_linear"]
)
def test_bfloat16(name, loop):
    model, inputs, labels = build(name, 6, torch.bfloat16, seed=2)
    norms = gradient_norms(model, inputs, labels)
    assert norms.dtype == torch.float32
    # Eight bits of mantissa in every activation; the sums of squares themselves are taken in float32.
    assert relative(norms, loop(model, inputs, labels)) < 0.03


@pytest.mark.parametrize("name", SLOW)
def test_falls_back_with_one_warning(name, loop):
    model, inputs, labels = build(name, 5)
    engine = GradientNorms(model)
    with pytest.warns(UserWarning, match="gradient_norms .*slow") as caught:
        norms = engine(inputs, labels)
    assert len([w for w in caught if "gradient_norms" in str(w.message)]) == 1
    assert relative(norms, loop(model, inputs, labels)) < 1e-10
    assert torch.equal(engine(inputs, labels), norms)


@pytest.mark.parametrize(
    "name", ["mlp", "vit", "cnn_batchnorm_inplace", "lstm_bidirectional", "tied_embedding"]
)
def test_fresh_batches_and_sizes(name, loop):
    model, inputs, labels = build(name, 6)
    engine = GradientNorms(model)
    engine(inputs, labels)
    for batch in (1, 2, 9):
        _, inputs, labels = build(name, batch, seed=batch)
        assert relative(engine(inputs, labels), loop(model, inputs, labels)) < 1e-10


def test_the_zoo_is_large():
    assert len(ZOO) >= 25
    assert math.isfinite(len(SLOW))
