"""A run of small networks: velocities against kernels of its checkpoints from float64 Jacobians."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from prune_kit.dynamics_files import read_velocity
from prune_kit.errors import PruneKitError
from prune_kit.training import Recipe
from prune_kit_torch import kernel_velocities, load_checkpoint, train_seeds

N = 40


def make_model():
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3))


def data():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, N)
    return (rng.normal(size=(N, 5)) + labels[:, None]).astype(np.float32), labels, 1000 - np.arange(N)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = tmp_path_factory.mktemp("run") / "run"
    return train_seeds(
        make_model, data(), seeds=2, epochs=2, at_epochs=[0, 1, 2], run=run,
        recipe=Recipe(batch_size=8), checkpoints=True, device="cpu",
    )  # fmt: skip


def kernel(checkpoint, x):
    model = make_model()
    load_checkpoint(model, checkpoint)
    model = copy.deepcopy(model).double()
    rows = []
    for example in torch.from_numpy(x).double():
        logits = model(example[None])
        for k in range(3):
            grads = torch.autograd.grad(logits[0, k], list(model.parameters()), retain_graph=True)
            rows.append(torch.cat([g.flatten() for g in grads]))
    stacked = torch.stack(rows)
    return (stacked @ stacked.T).numpy()


def test_the_definition(run, tmp_path):
    columns = kernel_velocities(
        make_model, data(), run, out=tmp_path / "v.parquet", group_size=8, groups=3, seeds=[1], device="cpu"
    )
    tables = [run.read_part(seed, 2) for seed in (0, 1)]
    scores = (tables[0]["el2n"].astype(float) + tables[1]["el2n"]) / 2
    order = np.argsort(scores, kind="stable")
    x = data()[0]
    expected = []
    for first in (0, 16, 32):
        chosen = order[first : first + 8]
        a, b, c = (kernel(run.checkpoint_path(1, epoch), x[chosen]) for epoch in (0, 1, 2))
        for one, other in ((a, b), (b, c)):
            expected.append(1 - (one * other).sum() / (np.linalg.norm(one) * np.linalg.norm(other)))
    found = columns["velocity"].reshape(2, 3).T.ravel()
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert columns["first_rank"].reshape(2, 3)[0].tolist() == [0, 16, 32]
    assert set(columns["seed"].tolist()) == {1}
    np.testing.assert_array_equal(read_velocity(tmp_path / "v.parquet")["velocity"], columns["velocity"])


def test_data_sets_and_their_ids(run, tmp_path):
    """The same examples in another order, as a Dataset: found by id."""
    x, y, ids = data()
    items = [(torch.from_numpy(x[i]), int(y[i]), int(ids[i])) for i in range(N)][::-1]
    options = {"group_size": 8, "groups": 2, "device": "cpu"}
    one = kernel_velocities(make_model, data(), run, out=tmp_path / "a.parquet", **options)
    other = kernel_velocities(make_model, items_as_data(items), run, out=tmp_path / "b.parquet", **options)
    np.testing.assert_allclose(one["velocity"], other["velocity"], rtol=1e-5)


def items_as_data(items):
    class Items(torch.utils.data.Dataset):
        def __len__(self):
            return len(items)

        def __getitem__(self, i):
            return items[i]

    return Items()


def test_other_data(run, tmp_path):
    x, y, _ = data()
    with pytest.raises(PruneKitError, match="has none of the examples that the run scored"):
        kernel_velocities(make_model, (x, y), run, out=tmp_path / "v.parquet", group_size=8, device="cpu")
    assert not (tmp_path / "v.parquet").exists()
