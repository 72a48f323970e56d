import copy

import numpy as np
import pytest
import torch
from torch import nn

from prune_kit import PruneKitError, StoreError
from prune_kit_torch import save_checkpoint
from prune_kit_torch.linear_path import error_path, linear_path

N, C = 60, 3
GENERATOR = torch.Generator().manual_seed(2)
X = torch.randn(N, 4, generator=GENERATOR)
Y = torch.randint(C, (N,), generator=GENERATOR)
TRAINING = (torch.randn(50, 4, generator=GENERATOR) + 1, torch.zeros(50, dtype=torch.long))


def make_model():
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, C))


def random_state(seed):
    """Weights, statistics and the counter of BatchNorm, all drawn."""
    generator = torch.Generator().manual_seed(seed)
    state = make_model().state_dict()
    for name, tensor in state.items():
        drawn = torch.rand(tensor.shape, generator=generator) * 2
        state[name] = torch.tensor(seed) if "num_batches" in name else drawn - (0 if "var" in name else 1)
    return state


A, B = random_state(1), random_state(2)


def mixed(alpha):
    return {
        name: ((1 - alpha) * A[name].double() + alpha * B[name].double()).numpy()
        for name in A
        if A[name].is_floating_point()
    }


def logits_by_hand(state, x, mean, variance):
    hidden = x @ state["0.weight"].T + state["0.bias"]
    normed = (hidden - mean) / np.sqrt(variance + 1e-5) * state["1.weight"] + state["1.bias"]
    return np.maximum(normed, 0) @ state["3.weight"].T + state["3.bias"]


def judged(logits):
    """Whether each example is wrong, and its cross-entropy."""
    labels = Y.numpy()
    shifted = logits - logits.max(1, keepdims=True)
    loss = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(N), labels]
    return logits.argmax(1) != labels, loss


@pytest.mark.parametrize("data", [(X, Y), (X, nn.functional.one_hot(Y, C).float())], ids=["hard", "soft"])
def test_each_point_is_the_interpolated_network_in_float64(data):
    path = linear_path(make_model(), A, B, data, points=6, batch_size=17)
    np.testing.assert_allclose(path.alphas, [0, 0.2, 0.4, 0.6, 0.8, 1.0])
    for k, alpha in enumerate(path.alphas):
        state = mixed(alpha)
        logits = logits_by_hand(state, X.double().numpy(), state["1.running_mean"], state["1.running_var"])
        wrong, loss = judged(logits)
        assert np.array_equal(path.wrong[k], wrong)
        np.testing.assert_allclose(path.loss[k], loss, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(error_path(make_model(), A, B, data, points=6), path.wrong.mean(axis=1))


@pytest.mark.parametrize("batch_size", [None, 25])
def test_recomputed_statistics_are_those_of_the_training_data_at_each_point(batch_size):
    x = TRAINING[0].double().numpy()
    path = linear_path(
        make_model(), A, B, (X, Y), points=4, recompute_statistics=TRAINING, batch_size=batch_size
    )
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0)).numpy()
    for k, alpha in enumerate(path.alphas):
        state = mixed(alpha)
        hidden = x[order] @ state["0.weight"].T + state["0.bias"]
        batches = np.split(hidden, 50 // (batch_size or 50))
        mean = np.mean([batch.mean(0) for batch in batches], axis=0)
        variance = np.mean([batch.var(0, ddof=1) for batch in batches], axis=0)
        wrong, loss = judged(logits_by_hand(state, X.double().numpy(), mean, variance))
        assert np.array_equal(path.wrong[k], wrong)
        np.testing.assert_allclose(path.loss[k], loss, rtol=1e-4, atol=1e-5)


def test_the_model_is_found_again_as_it_was():
    model = make_model()
    model[3].eval()
    model(X).sum().backward()
    before = copy.deepcopy(model)
    gradients = [p.grad.clone() for p in model.parameters()]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    error_path(model, A, B, (X, Y), recompute_statistics=TRAINING)
    with pytest.raises(PruneKitError, match="alpha 0: "):
        error_path(model, {**A, "0.weight": A["0.weight"] * torch.inf}, B, (X, Y))
    assert torch.equal(torch.rand(3), expected)
    for name, tensor in before.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)
    assert [m.training for m in model.modules()] == [m.training for m in before.modules()]
    assert model[1].momentum == 0.1
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))


def test_ends_may_be_checkpoints(tmp_path):
    files = []
    for name, state in (("a", A), ("b", B)):
        model = make_model()
        model.load_state_dict(state)
        files.append(save_checkpoint(model, tmp_path / f"{name}.safetensors"))
    found = error_path(make_model(), *files, (X, Y), points=5)
    assert np.array_equal(found, error_path(make_model(), A, B, (X, Y), points=5))


def test_dropout_does_not_make_a_path_another_one():
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, C))
    other = copy.deepcopy(model)
    with torch.no_grad():
        other[0].weight.mul_(-1)
    ends = model.state_dict(), copy.deepcopy(other.state_dict())
    first, second = (
        linear_path(model, *ends, (X, Y), points=3, recompute_statistics=TRAINING).loss for _ in range(2)
    )
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((A, B), {"points": 1}, "`points` must be a whole number of 2 or more"),
        ((A, [1.0]), {}, "`state_b` must be a state_dict or a checkpoint file; got list"),
        ((nn.Linear(4, 6).state_dict(), B), {}, "state_a does not fit the model"),
        ((A, {**B, "3.bias": torch.zeros(7)}), {}, r"state_b does not fit the model: 3.bias is \(7,\)"),
        ((A, B), {"recompute_statistics": (X[:1], Y[:1])}, "needs batches of 2 examples or more"),
        ((A, B), {"recompute_statistics": (X, Y), "batch_size": 1}, "`batch_size` is 1"),
    ],
)
def test_what_is_no_path_is_refused(arguments, options, message):
    with pytest.raises(PruneKitError, match=message):
        error_path(make_model(), *arguments, (X, Y), **options)


def test_what_is_not_there_is_refused():
    with pytest.raises(StoreError, match="there is no checkpoint nowhere"):
        error_path(make_model(), "nowhere", B, (X, Y))
    plain = nn.Linear(4, C)
    state = plain.state_dict()
    with pytest.raises(PruneKitError, match="Linear has no batch normalisation with running statistics"):
        error_path(plain, state, state, (X, Y), recompute_statistics=(X, Y))
