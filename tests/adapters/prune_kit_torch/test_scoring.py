import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from prune_kit.errors import PruneKitError
from prune_kit_torch import score

N, C = 50, 4
GENERATOR = torch.Generator().manual_seed(1)
X = torch.randn(N, 6, generator=GENERATOR)
Y = torch.randint(C, (N,), generator=GENERATOR)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, C))


def reference(model):
    """p - y in float64, by the definition."""
    with torch.no_grad():
        logits = model.double().eval()(X.double()).numpy()
    model.float()
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p, p - np.eye(C)[Y.numpy()]


def test_el2n_by_its_definition(model):
    p, error = reference(model)
    table = score(model, (X, Y), scores=("el2n", "margin", "cross_entropy"), batch_size=7)
    np.testing.assert_allclose(table["el2n"], np.linalg.norm(error, axis=1), rtol=1e-5)
    np.testing.assert_allclose(table["p_label"], p[np.arange(N), Y], rtol=1e-5)
    assert table["predicted"].tolist() == p.argmax(axis=1).tolist()
    assert table["el2n"].dtype == np.float32
    assert list(table) == ["predicted", "p_label", "el2n", "margin", "cross_entropy"]


def test_a_shuffled_loader_gives_each_example_its_own_score(model):
    expected = score(model, (X, Y))
    loader = DataLoader(TensorDataset(X, Y), batch_size=8, shuffle=True, drop_last=True)
    table = score(model, loader)
    assert table.ids.tolist() == list(range(N))
    np.testing.assert_allclose(table["el2n"], expected["el2n"], rtol=1e-6)


def test_scores_do_not_depend_on_the_neighbours_in_the_batch(model):
    model.train()
    together = score(model, (X, Y), batch_size=N)["el2n"]
    alone = score(model, (X, Y), batch_size=1)["el2n"]
    np.testing.assert_allclose(alone, together, rtol=1e-5)


def test_ids_of_the_data_name_the_rows(model):
    ids = np.array([f"image-{i}" for i in range(N)])
    assert score(model, (X, Y, ids)).ids.tolist() == ids.tolist()


def test_grand_last_layer_is_the_norm_of_the_last_layers_gradient(model):
    table = score(model, (X, Y), scores=("grand_last_layer",))
    model.double().eval()
    for i in range(0, N, 7):
        loss = nn.functional.cross_entropy(model(X[i : i + 1].double()), Y[i : i + 1])
        gradients = torch.autograd.grad(loss, list(model[-1].parameters()))
        expected = torch.cat([g.flatten() for g in gradients]).norm().item()
        assert table["grand_last_layer"][i] == pytest.approx(expected, rel=1e-5)


def test_grand_last_layer_of_a_layer_without_bias():
    torch.manual_seed(0)
    model = nn.Linear(6, C, bias=False)
    table = score(model, (X, Y), scores=("grand_last_layer",))
    loss = nn.functional.cross_entropy(model(X[3:4]), Y[3:4])
    (gradient,) = torch.autograd.grad(loss, [model.weight])
    assert table["grand_last_layer"][3] == pytest.approx(gradient.norm().item(), rel=1e-5)


def test_soft_labels(model):
    p, _ = reference(model)
    soft = np.full((N, C), 0.1 / (C - 1), np.float32)
    soft[np.arange(N), Y] = 0.9
    table = score(model, (X, torch.from_numpy(soft)), batch_size=8)
    np.testing.assert_allclose(table["el2n"], np.linalg.norm(p - soft, axis=1), rtol=1e-5)
    np.testing.assert_allclose(table.labels, soft)
    assert "p_label" not in table  # the probability of "the" label is not defined


def test_batches_and_outputs_as_hugging_face_has_them(model):
    class Output:
        def __init__(self, logits):
            self.logits = logits

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, values, mask):
            return Output(self.inner(values * mask))

    data = [{"values": X[i], "mask": torch.ones(6), "labels": int(Y[i]), "id": i + 7} for i in range(N)]

    class Data(torch.utils.data.Dataset):
        def __len__(self):
            return N

        def __getitem__(self, i):
            return data[i]

    table = score(Wrapped(), Data(), batch_size=16)
    np.testing.assert_allclose(table["el2n"], score(model, (X, Y))["el2n"], rtol=1e-6)
    assert table.ids[0] == 7


def test_float16_logits_are_scored_in_float32(model):
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return self.inner(x).half()

    table = score(Half(), (X, Y))
    assert table["el2n"].dtype == np.float32
    _, error = reference(model)
    np.testing.assert_allclose(table["el2n"], np.linalg.norm(error, axis=1), atol=2e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x * float("nan"), "NaN|finite"),
        (lambda x: x * 1e39, "infinite|finite"),
    ],
)
def test_logits_that_are_not_finite_are_refused(model, change, message):
    class Broken(nn.Module):
        def forward(self, x):
            return change(model(x))

    with pytest.raises(PruneKitError, match=message):
        score(Broken(), (X, Y))


@pytest.mark.parametrize(
    ("data", "scores", "message"),
    [
        ((X, Y + C), ("el2n",), "labels"),
        ((X, Y), ("el3n",), "el3n"),
        ((X, Y, np.arange(N) // 2), ("el2n",), "more than once"),
    ],
)
def test_bad_input(model, data, scores, message):
    with pytest.raises(PruneKitError, match=message):
        score(model, data, scores=scores)


def test_grand_beside_el2n_is_the_norm_of_each_examples_own_gradient(model):
    model.train()
    table = score(model, (X, Y), scores=("el2n", "grand", "grand_last_layer"), batch_size=16)
    assert model.training
    reference_model = model.double().eval()
    for i in range(0, N, 7):
        loss = nn.functional.cross_entropy(reference_model(X[i : i + 1].double()), Y[i : i + 1])
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        expected = torch.cat([g.flatten() for g in gradients]).norm().item()
        assert table["grand"][i] == pytest.approx(expected, rel=1e-4)
    model.float()
    np.testing.assert_array_equal(
        table["el2n"], score(model, (X, Y), scores=("el2n", "grand"), batch_size=16)["el2n"]
    )


def test_grand_is_the_same_bits_again(model):
    first = score(model, (X, Y), scores=("grand",))["grand"]
    assert np.array_equal(score(model, (X, Y), scores=("grand",))["grand"], first)


def test_probabilities_of_every_class(model):
    p, _ = reference(model)
    table = score(model, (X, Y), probabilities=True, batch_size=7)
    assert list(table) == ["predicted", "p_label", "el2n", "probabilities"]
    assert table["probabilities"].dtype == np.float32
    np.testing.assert_allclose(table["probabilities"], p, rtol=1e-5)
