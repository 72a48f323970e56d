"""Kernels against the Jacobian of a float64 copy, one backward pass for each example and logit."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev

from prune_kit.errors import PruneKitError
from prune_kit_torch import models, neural_tangent_kernel
from prune_kit_torch.tangent_kernel import kernel as kernel_module


def jacobian(model, x):
    """Rows (m * c, parameters) in float64; model and inputs are copied."""
    model = copy.deepcopy(model).double().eval()
    x = x.double() if x.is_floating_point() else x
    parameters = [p for p in model.parameters() if p.requires_grad]
    rows = []
    for i in range(len(x)):
        logits = model(x[i : i + 1])
        for k in range(logits.shape[1]):
            grads = torch.autograd.grad(logits[0, k], parameters, retain_graph=True, allow_unused=True)
            pairs = zip(grads, parameters, strict=True)
            rows.append(torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs]))
    return torch.stack(rows)


class Tied(nn.Module):
    """An embedding that is the last layer's weight too."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(torch.tanh(self.embedding(x)).mean(1))


class Embedded(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.embedding(x).tanh().sum(1))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.body = kind(4, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.body(x)[0][:, -1])


class Twice(nn.Module):
    """One convolution called twice; a matrix used from the left and from the right."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.matrix = nn.Parameter(torch.randn(6, 6) / 2)
        self.head = nn.Linear(3, 4)

    def forward(self, x):
        x = torch.relu(self.conv(torch.relu(self.conv(x))))
        return self.head((torch.tanh(x @ self.matrix) @ self.matrix.T).mean((2, 3)))


class Heads(nn.Module):
    """Each logit from a head of its own, which the others do not change; one head is frozen."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(5, 4)
        self.heads = nn.ModuleList(nn.Linear(4, 1) for _ in range(3))
        self.heads[1].requires_grad_(False)
        self.unused = nn.Linear(5, 5)

    def forward(self, x):
        x = torch.tanh(self.body(x))
        return torch.cat([head(x) for head in self.heads], 1)


class Looped(nn.Module):
    """What cannot be followed: an autograd function of the model's own uses a parameter."""

    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return x * w

        @staticmethod
        def backward(ctx, grad):
            x, w = ctx.saved_tensors
            return grad * w, (grad * x).sum(0)

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(6))
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.Scale.apply(x, self.w)))


def transformer():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(40, 3))


def many_layers():
    return nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=4),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 5, 3, stride=2),
        nn.GroupNorm(5, 5),
        nn.Conv2d(5, 6, 3, stride=2, dilation=2),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.utils.parametrizations.weight_norm(nn.Linear(54, 3)),
    )


CASES = {
    "mlp": (lambda: models.mlp(12, 5, (16, 16)), lambda: torch.randn(6, 12)),
    "simple-cnn": (lambda: models.simple_cnn(3, 4, (4, 8)), lambda: torch.randn(5, 3, 9, 9)),
    "resnet": (
        lambda: models.resnet(models.BasicBlock, (1, 1, 1), 3, 4, width=4),
        lambda: torch.randn(5, 3, 12, 12),
    ),
    "conv1d": (
        lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(15, 3)),
        lambda: torch.randn(4, 2, 7),
    ),
    "tied": (Tied, lambda: torch.randint(0, 11, (5, 4))),
    "embedding": (Embedded, lambda: torch.randint(0, 50, (5, 4))),
    "lstm": (lambda: Recurrent(nn.LSTM), lambda: torch.randn(4, 6, 4)),
    "gru": (lambda: Recurrent(nn.GRU), lambda: torch.randn(4, 6, 4)),
    "twice": (Twice, lambda: torch.randn(4, 3, 6, 6)),
    "heads": (Heads, lambda: torch.randn(4, 5)),
    "transformer": (transformer, lambda: torch.randn(4, 5, 8)),
    "many layers": (many_layers, lambda: torch.randn(4, 4, 6, 6)),
    "one example": (lambda: models.mlp(12, 2, (7,)), lambda: torch.randn(1, 12)),
}


def case(name):
    torch.manual_seed(0)
    make, inputs = CASES[name]
    return make(), inputs()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("memory", [2**30, 2000], ids=["at once", "in parts"])
@pytest.mark.parametrize("name", CASES)
def test_the_definition(name, memory):
    model, x = case(name)
    rows = jacobian(model, x)
    expected = rows @ rows.T
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        given = x.to(dtype) if x.is_floating_point() else x
        kernel = neural_tangent_kernel(copy.deepcopy(model).to(dtype), given, memory=memory, verify=False)
        assert kernel.dtype == dtype
        assert not kernel.requires_grad
        gap = float((kernel.double() - expected).abs().max() / expected.abs().max())
        assert gap < tolerance
        assert torch.equal(kernel, kernel.T)
        eigenvalues = torch.linalg.eigvalsh(kernel.double())
        assert float(eigenvalues.min()) > -10 * tolerance * float(eigenvalues.max())


def test_torch_func():
    model, x = case("simple-cnn")
    model, x = model.double().eval(), x.double()
    weights = {name: p.detach() for name, p in model.named_parameters()}
    jacobians = jacrev(lambda w: functional_call(model, w, (x,)))(weights)
    rows = torch.cat([j.flatten(2) for j in jacobians.values()], 2).flatten(0, 1)
    torch.testing.assert_close(neural_tangent_kernel(model, x), rows @ rows.T, rtol=1e-10, atol=1e-12)


def test_row_order_is_example_then_logit():
    model = nn.Linear(2, 3, bias=False)
    x = torch.tensor([[1.0, 0.0], [2.0, 0.0]])
    kernel = neural_tangent_kernel(model, x).view(2, 3, 2, 3)
    expected = torch.tensor([[1.0, 2.0], [2.0, 4.0]])[:, None, :, None] * torch.eye(3)[None, :, None, :]
    torch.testing.assert_close(kernel, expected)


@pytest.mark.parametrize("memory", [2**30, 300])
def test_a_model_that_cannot_be_followed(memory):
    torch.manual_seed(0)
    model, x = Looped(), torch.randn(4, 6)
    rows = jacobian(model, x)
    with pytest.warns(
        UserWarning, match="gradient of the whole model for each row, which is slow: .*out of sight"
    ):
        kernel = neural_tangent_kernel(model, x, memory=memory)
    torch.testing.assert_close(kernel.double(), rows @ rows.T, rtol=1e-4, atol=1e-5)


def test_a_wrong_kernel_is_found_and_replaced(monkeypatch):
    model, x = case("mlp")
    rows = jacobian(model, x)
    right = kernel_module._by_layers

    def wrong(*arguments):
        gram = right(*arguments)
        gram.kernel *= 1.001
        return gram

    monkeypatch.setattr(kernel_module, "_by_layers", wrong)
    with pytest.warns(UserWarning, match="its rows differ from those of a backward pass for each example"):
        kernel = neural_tangent_kernel(model, x)
    torch.testing.assert_close(kernel.double(), rows @ rows.T, rtol=1e-4, atol=1e-5)


def test_what_models_take_and_give():
    model, x = case("mlp")

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = model

        def forward(self, x, scale=1.0):
            return SimpleNamespace(logits=self.body(x * scale))

    expected = neural_tangent_kernel(model, 2 * x)
    for inputs in ((x, 2.0), {"x": x, "scale": torch.tensor(2.0)}, {"x": 2 * x}):
        torch.testing.assert_close(neural_tangent_kernel(Wrapped(), inputs), expected)
    with torch.no_grad():
        torch.testing.assert_close(neural_tangent_kernel(model, 2 * x), expected)
    with torch.inference_mode():
        torch.testing.assert_close(neural_tangent_kernel(model, 2 * x.clone()), expected)


def test_the_model_is_found_again_as_it_was():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3))
    x = torch.randn(5, 4)
    model(x).sum().backward()
    model[2].eval()
    before = copy.deepcopy(model.state_dict())
    grads = [p.grad for p in model.parameters()]
    values = [grad.clone() for grad in grads]
    first = neural_tangent_kernel(model, x)
    assert [module.training for module in model] == [True, True, False, True]
    assert all(p.grad is grad for p, grad in zip(model.parameters(), grads, strict=True))
    assert all(torch.equal(grad, value) for grad, value in zip(grads, values, strict=True))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    torch.testing.assert_close(neural_tangent_kernel(model.eval(), x), first)


@pytest.mark.parametrize(
    ("model", "x", "said"),
    [
        (nn.ReLU(), torch.randn(3, 2), "at least one parameter"),
        (
            nn.Conv2d(1, 2, 3),
            torch.randn(3, 1, 5, 5),
            r"logits of shape \(examples, classes\); got \(3, 2, 3, 3\)",
        ),
        (
            nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 2)),
            torch.randn(3, 4),
            "batch of one example|must not depend on the other examples",
        ),
        (nn.Linear(2, 2), torch.full((3, 2), torch.nan), "logits must be finite"),
        (lambda x: x, torch.randn(3, 2), "must be a torch.nn.Module"),
    ],
)
def test_bad_input(model, x, said):
    with pytest.raises(PruneKitError, match=said):
        neural_tangent_kernel(model, x)
