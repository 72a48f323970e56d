"""The public function: what goes in, what comes out, what is refused, and what is left behind."""

import math
import warnings
from types import SimpleNamespace

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from prune_kit.errors import PruneKitError
from prune_kit_torch.gradients import GradientNorms, gradient_norms
from prune_kit_torch.gradients.rules import linear


def small(dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 7), nn.BatchNorm1d(7), nn.ReLU(inplace=True), nn.Linear(7, 4)).to(dtype)


def batch(n=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 6, generator=generator, dtype=dtype), torch.randint(0, 4, (n,), generator=generator)


class Wrapped(nn.Module):
    def __init__(self, body, give):
        super().__init__()
        self.body, self.give = body, give

    def forward(self, x, scale=1.0, mask=None):
        return self.give(self.body(x * scale))


@pytest.mark.parametrize(
    "give",
    [
        lambda y: SimpleNamespace(logits=y),
        lambda y: {"loss": None, "logits": y},
        lambda y: (y, "hidden"),
        lambda y: y,
    ],
)
def test_what_models_give(give, loop):
    x, y = batch()
    model = small()
    norms = gradient_norms(Wrapped(model, give), x, y)
    torch.testing.assert_close(norms, loop(model, x, y), rtol=1e-10, atol=0)


def test_what_models_take(loop):
    x, y = batch()
    model = Wrapped(small(), lambda logits: logits)
    expected = loop(model.body, 2 * x, y)
    shared = torch.tensor(2.0, dtype=torch.float64)
    for inputs in ((x, 2.0), [x, shared], {"x": x, "scale": shared, "mask": None}, {"x": 2 * x}):
        torch.testing.assert_close(gradient_norms(model, inputs, y), expected, rtol=1e-10, atol=0)


def test_logits_of_the_same_pass():
    x, y = batch()
    model = small().eval()
    norms, logits = GradientNorms(model).with_logits(x, y)
    torch.testing.assert_close(logits, model(x).detach())
    assert not logits.requires_grad
    assert not norms.requires_grad


def test_other_losses(loop):
    x, y = batch()
    model = small()

    def squared(logits, labels):
        return ((logits - F.one_hot(labels, 4)) ** 2).sum(1)

    def smoothed(logits, labels):
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=0.1)

    for loss in (squared, smoothed):
        torch.testing.assert_close(
            gradient_norms(model, x, y, loss=loss), loop(model, x, y, loss), rtol=1e-10, atol=0
        )


def test_soft_labels(loop):
    x, y = batch()
    soft = torch.softmax(torch.randn(5, 4, dtype=torch.float64), 1)
    model = small()
    torch.testing.assert_close(gradient_norms(model, x, soft), loop(model, x, soft), rtol=1e-10, atol=0)
    hard = F.one_hot(y, 4).double()
    torch.testing.assert_close(gradient_norms(model, x, hard), gradient_norms(model, x, y))


def test_a_loss_over_time(loop):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 9)).double()
    x = torch.randint(0, 9, (4, 5))

    def shifted(logits, tokens):
        return F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none").sum(1)

    torch.testing.assert_close(
        gradient_norms(model, x, x, loss=shifted), loop(model, x, x, shifted), rtol=1e-10, atol=0
    )


def test_per_layer(loop):
    x, y = batch()
    model = small()
    model.add_module("again", model[3])  # a second name for the same module
    model.forward = lambda x: model[3](model[2](model[1](model[0](x))))
    expected = loop(model, x, y, squared_by_name=True)
    columns = gradient_norms(model, x, y, per_layer=True)
    assert list(columns) == ["0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"]
    for name, column in columns.items():
        torch.testing.assert_close(column, expected[name].sqrt(), rtol=1e-10, atol=1e-14)
    modules = gradient_norms(model, x, y, per_layer="module")
    assert list(modules) == ["0", "1", "3"]
    torch.testing.assert_close(
        modules["0"] ** 2, expected["0.weight"] + expected["0.bias"], rtol=1e-10, atol=0
    )
    total = gradient_norms(model, x, y)
    torch.testing.assert_close(torch.stack(list(columns.values())).square().sum(0).sqrt(), total)


def test_last_layer(loop):
    x, y = batch()
    model = small()
    expected = loop(model, x, y, squared_by_name=True)
    engine = GradientNorms(model, last_layer=True)
    for _ in range(2):
        norms = engine(x, y)
        torch.testing.assert_close(norms**2, expected["3.weight"] + expected["3.bias"], rtol=1e-10, atol=0)
        assert all(p.requires_grad for p in model.parameters())
    assert list(gradient_norms(model, x, y, last_layer=True, per_layer=True)) == ["3.weight", "3.bias"]


@pytest.mark.parametrize("confidence", [1e-3, 10, 40, 80])
def test_exact_at_any_confidence(confidence, loop):
    """`softmax - onehot` must not lose its digits, nor its square underflow."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    x, y = torch.randn(6, 4), torch.zeros(6, dtype=torch.long)
    with torch.no_grad():
        model[2].bias.copy_(torch.tensor([confidence, 0.0, 0.0]))

    def exact_loss(logits, labels):
        """Cross-entropy as log(1 + odds of the others): autograd's gradient of it is never a difference."""
        others = logits.masked_fill(F.one_hot(labels, logits.shape[1]).bool(), -torch.inf)
        return F.softplus(others.logsumexp(1) - logits.gather(1, labels[:, None])[:, 0], threshold=1e9)

    exact = loop(model, x, y, exact_loss)
    norms = gradient_norms(model, x, y)
    assert (
        float(((norms.double() - exact) / exact).abs().max()) < 2e-5
    )  # of which 1e-5 is the logits' own rounding
    assert float(exact.min()) > 0


def state(model):
    return (
        [m.training for m in model.modules()],
        [(p.requires_grad, p.grad, None if p.grad is None else p.grad.clone()) for p in model.parameters()],
        {name: t.clone() for name, t in model.state_dict().items()},
        [
            dict(m._forward_hooks) | dict(m._forward_pre_hooks) | dict(m._backward_hooks)
            for m in model.modules()
        ],
        [set(vars(m)) for m in model.modules()],
        [p._version for p in getattr(model, "body", model).parameters()],
    )


def assert_same(before, after):
    assert before[0] == after[0]
    for (needs, grad, values), (needs_after, grad_after, _) in zip(before[1], after[1], strict=True):
        assert needs == needs_after
        assert grad is grad_after
        assert grad is None or torch.equal(grad_after, values)
    assert before[2].keys() == after[2].keys()
    assert all(torch.equal(before[2][name], after[2][name]) for name in before[2])
    assert before[3:] == after[3:]


class Counting(nn.Module):
    """Changes a buffer in every forward, and fails when told to."""

    def __init__(self):
        super().__init__()
        self.body = small()
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        self.table = nn.Embedding(10, 6, max_norm=0.5).double()
        self.fail = False

    def forward(self, x):
        self.calls += 1
        y = self.body(x + self.table((x[:, :1] > 0).long())[:, 0])
        if self.fail and len(x) > 1:
            raise KeyError("asked to")
        return y


def test_the_model_is_left_as_it_was():
    x, y = batch()
    model = Counting().train()
    model.body[1].eval()
    F.cross_entropy(model(x), y).backward()
    model.body[3].weight.grad = None
    before = state(model)
    gradient_norms(model, x, y)
    assert_same(before, state(model))
    gradient_norms(model, x, y, last_layer=True)
    assert_same(before, state(model))
    assert x.grad_fn is None


@pytest.mark.parametrize("when", ["first", "later"])
def test_the_model_is_left_as_it_was_after_an_exception(when):
    x, y = batch()
    model = Counting().train()
    F.cross_entropy(model(x), y).backward()
    for last_layer in (False, True):
        before = state(model)
        engine = GradientNorms(model, last_layer=last_layer)
        if when == "later":
            engine(x, y)
        model.fail = True
        with pytest.raises(KeyError):
            engine(x, y)
        model.fail = False
        assert_same(before, state(model))


def test_a_running_backward_pass_is_not_disturbed():
    x, y = batch()
    model = small()
    loss = F.cross_entropy(model(x), y)
    gradient_norms(model, x, y)
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_old_weight_norm_keeps_its_attribute():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        layer = nn.utils.weight_norm(nn.Linear(6, 4).double())
    x, y = batch()
    kept = layer.weight
    gradient_norms(layer, x, y)
    assert layer.weight is kept


def test_under_no_grad_and_inference_mode():
    x, y = batch()
    model = small()
    expected = gradient_norms(model, x, y)
    with torch.no_grad():
        torch.testing.assert_close(gradient_norms(model, x, y), expected)
    with torch.inference_mode():
        torch.testing.assert_close(gradient_norms(model, x.clone(), y.clone()), expected)


def test_weights_may_change_between_batches(loop):
    x, y = batch()
    model = small()
    engine = GradientNorms(model)
    engine(x, y)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    torch.testing.assert_close(engine(x, y), loop(model, x, y), rtol=1e-10, atol=0)


def test_the_same_bits_again():
    x, y = batch(dtype=torch.float32)
    model = nn.Sequential(
        nn.Unflatten(1, (1, 6)),
        nn.Conv1d(1, 8, 3),
        nn.ReLU(),
        nn.Conv1d(8, 8, 3),
        nn.Flatten(),
        nn.Linear(16, 4),
    )
    first = gradient_norms(model, x, y, tune=False)
    assert torch.equal(gradient_norms(model, x, y, tune=False), first)
    tuned = GradientNorms(model)
    norms = tuned(x, y)
    assert torch.equal(GradientNorms(model, choices=tuned.choices)(x, y), norms)


class Coupled(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 4).double()

    def forward(self, x):
        y = self.body(x)
        return y - y.mean(0)


def centred(logits, labels):
    losses = F.cross_entropy(logits, labels, reduction="none")
    return losses - losses.mean().detach() * logits.mean()


@pytest.mark.parametrize("verify", [True, False])
def test_examples_that_depend_on_each_other_are_refused(verify):
    x, y = batch()
    stateless = nn.Sequential(
        nn.Linear(6, 7), nn.BatchNorm1d(7, track_running_stats=False), nn.Linear(7, 4)
    ).double()
    spatial = nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.Conv1d(2, 3, 1), nn.BatchNorm1d(3, track_running_stats=False),
        nn.Flatten(), nn.Linear(9, 4),
    ).double()  # fmt: skip
    for model in (stateless, spatial, Coupled()):
        before = state(model)
        with pytest.raises(PruneKitError, match=r"other examples of the batch|batch of one example"):
            gradient_norms(model, x, y, verify=verify)
        assert_same(before, state(model))
    with pytest.raises(PruneKitError, match="the loss of an example must not depend on the other"):
        gradient_norms(small(), x, y, loss=centred, verify=verify)


def test_batchnorm_in_a_training_model_is_put_into_inference_mode(loop):
    x, y = batch()
    model = small().train()
    torch.testing.assert_close(gradient_norms(model, x, y), loop(small(), x, y), rtol=1e-10, atol=0)


def test_randomness_is_refused():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = small()

        def forward(self, x):
            return self.body(F.dropout(x, 0.5, training=True))

    with pytest.raises(PruneKitError, match="must not depend on the other examples"):
        gradient_norms(Noisy(), *batch())


def test_parameters_without_a_part_are_named():
    model = small()
    model.spare = nn.Linear(3, 3).double()
    model.forward = lambda x: model[3](model[2](model[1](model[0](x))))
    with pytest.raises(PruneKitError, match=r"do not: spare\.weight, spare\.bias.*allow_unused"):
        gradient_norms(model, *batch())
    columns = gradient_norms(model, *batch(), allow_unused=True, per_layer=True)
    assert not columns["spare.weight"].any()
    assert columns["0.weight"].all()
    model.spare.requires_grad_(False)
    gradient_norms(model, *batch())


def test_parameters_that_share_memory_are_refused():
    model = small()
    model[1].bias = nn.Parameter(model[1].weight.data)
    with pytest.raises(PruneKitError, match="share memory"):
        gradient_norms(model, *batch())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": lambda x: x}, r"torch\.nn\.Module"),
        ({"model": small().requires_grad_(False)}, "at least one parameter"),
        ({"labels": torch.tensor([0, 1, 2])}, "one row per label, 3"),
        ({"labels": torch.zeros(5, 2, dtype=torch.long)}, "class indices of shape"),
        ({"labels": torch.tensor([0, 1, 2, 3, 4])}, "from 0 to 3; got values from 0 to 4"),
        ({"labels": [0, 1, 2, 3, 3]}, "must be a tensor"),
        ({"inputs": torch.full((5, 6), torch.nan, dtype=torch.float64)}, "must be finite"),
        ({"loss": F.cross_entropy}, r"one number per example, shape \(3,\)"),
        ({"loss": lambda logits, labels: logits.detach().sum(1)}, "differentiated"),
        ({"per_layer": "channel"}, "per_layer"),
        ({"model": nn.Sequential(nn.Linear(6, 4).double(), nn.Flatten(0))}, "one row of logits per example"),
        ({"model": Wrapped(small(), lambda y: "logits")}, "must give logits"),
    ],
)
def test_bad_input(arguments, message):
    x, y = batch()
    arguments = {"model": small(), "inputs": x, "labels": y} | arguments
    positional = [arguments.pop(name) for name in ("model", "inputs", "labels")]
    with pytest.raises(PruneKitError, match=message):
        gradient_norms(*positional, **arguments)


def test_a_loss_with_parameters_of_its_own_is_refused():
    centres = torch.zeros(4, requires_grad=True)
    with pytest.raises(PruneKitError, match="function of logits and labels alone"):
        gradient_norms(small(), *batch(), loss=lambda logits, labels: (logits - centres).square().sum(1))


def test_a_wrong_rule_is_caught(monkeypatch, loop):
    """Verification is what stands between a mistake and a wrong number: make a mistake."""
    right = linear._weight
    monkeypatch.setattr(linear, "_weight", lambda rows, grad, x: right(rows, 1.001 * grad, x))
    x, y = batch()
    model = small()
    with pytest.warns(UserWarning, match="differ from those of a backward pass"):
        norms = gradient_norms(model, x, y)
    torch.testing.assert_close(norms, loop(model, x, y), rtol=1e-10, atol=0)
    assert not torch.allclose(gradient_norms(model, x, y, verify=False), norms, rtol=1e-6)


def test_a_model_that_differentiates_in_its_forward(loop):
    class Force(nn.Module):
        def __init__(self):
            super().__init__()
            self.energy = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)).double()
            self.head = nn.Linear(6, 4).double()

        def forward(self, x):
            x = x.detach().requires_grad_()
            (force,) = torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)
            return self.head(force)

    x, y = batch()
    model = Force()
    with pytest.warns(UserWarning, match="slow: the model takes gradients in its forward"):
        norms = gradient_norms(model, x, y, allow_unused=True)
    torch.testing.assert_close(norms, loop(model, x, y), rtol=1e-10, atol=0)


def test_paths_that_depend_on_the_batch(loop):
    class Early(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(6, 6).double(), nn.Linear(6, 4).double()

        def forward(self, x):
            x = self.first(x)
            if len(x) > 6:
                x = self.first(torch.relu(x) + 1)
            return self.second(x)

    x, y = batch(5)
    model = Early()
    engine = GradientNorms(model)
    torch.testing.assert_close(engine(x, y), loop(model, x, y), rtol=1e-10, atol=0)
    x, y = batch(8)
    with pytest.warns(UserWarning, match="slow"):
        engine(x, y)


def test_units_that_are_silent_at_first(loop):
    """Nothing can be read off a zero gradient: the batch's place is found when one arrives."""
    x, y = batch()
    model = nn.Sequential(nn.Linear(6, 2), nn.ReLU(), nn.Linear(2, 4)).double()
    with torch.no_grad():
        model[0].bias.fill_(-100)
    engine = GradientNorms(model)
    torch.testing.assert_close(engine(x, y), loop(model, x, y), rtol=1e-10, atol=0)
    with torch.no_grad():
        model[0].bias.fill_(1)
    torch.testing.assert_close(engine(x, y), loop(model, x, y), rtol=1e-10, atol=0)


def test_data_parallel_is_unwrapped():
    x, y = batch()
    model = small()
    torch.testing.assert_close(gradient_norms(nn.DataParallel(model), x, y), gradient_norms(model, x, y))


def test_an_example_that_the_model_is_very_sure_of_has_a_norm():
    """p - y as a difference from 1 is 0 from a confidence of about 1 - 1e-16 on; autograd gives that."""
    model = nn.Linear(1, 3, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[45.0], [0.0], [1.0]]))
    norm = gradient_norms(model, torch.ones(1, 1, dtype=torch.float64), torch.tensor([0]))
    others = [math.exp(-45.0), math.exp(-44.0)]
    expected = math.sqrt(sum(others) ** 2 + sum(p**2 for p in others))
    assert float(norm) == pytest.approx(expected, rel=1e-12)


def test_the_last_layer_of_a_model_that_cannot_be_followed_is_refused():
    """Rather than the norm over all parameters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        part = nn.Sequential(nn.Linear(6, 5), nn.Tanh()).double()
        inner = torch.jit.trace(part, torch.randn(2, 6).double())
    model = nn.Sequential(inner, nn.Linear(5, 4).double())
    x, y = batch()
    with (
        pytest.warns(UserWarning, match="one example at a time|slow"),
        pytest.raises(PruneKitError, match="last layer cannot be found"),
    ):
        gradient_norms(model, x, y, last_layer=True)
