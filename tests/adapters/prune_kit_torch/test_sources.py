import warnings

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from prune_kit.data import load_examples
from prune_kit.errors import PruneKitError
from prune_kit_torch.array_source import ArraySource
from prune_kit_torch.sources import as_source

N = 11
X = torch.arange(N * 2, dtype=torch.float32).reshape(N, 2)
Y = torch.arange(N) % 3


class Pairs(Dataset):
    def __len__(self):
        return N

    def __getitem__(self, i):
        return X[i], Y[i]


class NamedDicts(Dataset):
    def __len__(self):
        return N

    def __getitem__(self, i):
        return {"x": X[i], "label": int(Y[i]), "id": f"file-{i}"}


def read(source, batch_size=4):
    ids, inputs, labels = zip(*source.ordered(batch_size), strict=True)
    return np.concatenate(ids), torch.cat(inputs), torch.cat(labels)


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        (X.numpy(), Y.numpy()),
        TensorDataset(X, Y),
        Pairs(),
        DataLoader(Pairs(), batch_size=3),
        DataLoader(Pairs(), batch_size=3, shuffle=True, drop_last=True),
        DataLoader(Pairs(), batch_size=3, shuffle=True, num_workers=2),
    ],
    ids=["tensors", "numpy", "TensorDataset", "Dataset", "loader", "shuffled, drop_last", "workers"],
)
# The workers are forked; another test of the same process may have loaded JAX, which warns of it.
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
def test_every_example_once_in_the_data_sets_own_order(data):
    ids, inputs, labels = read(as_source(data))
    assert ids.tolist() == list(range(N))
    torch.testing.assert_close(inputs, X)
    assert labels.tolist() == Y.tolist()


def test_ids_of_the_data_are_kept():
    assert read(as_source(NamedDicts()))[0].tolist() == [f"file-{i}" for i in range(N)]
    assert read(as_source((X, Y, np.arange(N) + 100)))[0].tolist() == list(range(100, 100 + N))


def test_collate_function_of_the_loader_is_used():
    def double(examples):
        return torch.stack([x for x, _ in examples]) * 2, torch.stack([y for _, y in examples])

    _, inputs, _ = read(as_source(DataLoader(Pairs(), batch_size=3, collate_fn=double)))
    torch.testing.assert_close(inputs, X * 2)


def test_numpy_float64_becomes_the_default_type_and_tensors_keep_theirs():
    assert read(as_source((X.numpy().astype(np.float64), Y)))[1].dtype == torch.float32
    assert read(as_source((X.double(), Y)))[1].dtype == torch.float64


def test_images_are_standardised_channel_by_channel():
    digits = load_examples("digits")
    inputs = as_source(digits).inputs
    assert inputs.shape == (1347, 1, 8, 8)
    assert abs(inputs.mean().item()) < 1e-5
    assert abs(inputs.std(correction=0).item() - 1) < 1e-5
    expected = (digits.inputs[5, :, :, 0] - digits.inputs.mean()) / digits.inputs.std()
    np.testing.assert_allclose(inputs[5, 0].numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("data", [(X, Y), Pairs()], ids=["arrays", "Dataset"])
def test_training_order_depends_on_the_seed_alone_and_leaves_out_the_ragged_batch(data):
    source = as_source(data)

    def epoch(seed):
        return [batch.labels.tolist() for batch in source.shuffled(4, seed)], [
            batch.inputs[:, 0].tolist() for batch in source.shuffled(4, seed)
        ]

    labels, inputs = epoch(0)
    assert epoch(0) == (labels, inputs)
    assert epoch(1) != (labels, inputs)
    assert [len(batch) for batch in labels] == [4, 4] == [4] * source.steps(4)
    flat = [value for batch in inputs for value in batch]
    assert len(set(flat)) == 8
    assert set(flat) <= set(X[:, 0].tolist())


def test_all_examples_are_trained_on_where_they_are_fewer_than_a_batch():
    assert [len(batch.labels) for batch in as_source((X, Y)).shuffled(64, 0)] == [N]


def test_generator_of_the_users_loader_is_seeded():
    loader = DataLoader(Pairs(), batch_size=4, shuffle=True, generator=torch.Generator())
    source = as_source(loader)

    def epoch(seed):
        return [batch.inputs[:, 0].tolist() for batch in source.shuffled(4, seed)]

    assert epoch(3) == epoch(3)
    assert epoch(3) != epoch(4)


def test_fingerprint_tells_data_apart():
    def of(data):
        return as_source(data).fingerprint()

    assert of((X, Y)) == of((X.clone(), Y.clone()))
    other = X.clone()
    other[N - 1, 1] += 1
    assert len({of((X, Y)), of((other, Y)), of((X, Y.flip(0))), of((X, Y, np.arange(N) + 1))}) == 4
    assert of(Pairs()) == of(DataLoader(Pairs(), shuffle=True, batch_size=2))


def test_augmented_data_is_found_out():
    class Augmented(Pairs):
        def __getitem__(self, i):
            return X[i] + torch.rand(()), Y[i]

    with pytest.warns(UserWarning, match="gives other inputs when an example is read again"):
        as_source(Augmented()).fingerprint()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_source(Pairs()).fingerprint()


class Stream(IterableDataset):
    def __iter__(self):
        return iter([(X[0], Y[0])])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Stream(), "must be a Dataset with a length"),
        (DataLoader(Stream()), "streams"),
        ((X, Y[:3]), "same length; got 11 inputs and 3 labels"),
        ((X[:0], Y[:0]), "no examples"),
        (([["text"]], ["a"]), "must be a Dataset with a length"),
        ((np.array([["a"]]), np.array([0])), "inputs must be numbers"),
        (42, "must be a Dataset with a length"),
    ],
)
def test_other_data_are_refused(data, message):
    with pytest.raises(PruneKitError, match=message):
        as_source(data)


def test_a_collate_function_that_loses_examples_is_refused():
    loader = DataLoader(
        Pairs(), batch_size=4, collate_fn=lambda e: (torch.zeros(1, 2), torch.zeros(1).long())
    )
    with pytest.raises(PruneKitError, match="a batch of 4 examples came back with 1 labels"):
        read(as_source(loader))


def test_unsigned_and_read_only_numpy_arrays_work():
    frozen = np.arange(6, dtype=np.uint16).reshape(3, 2)
    frozen.flags.writeable = False
    assert ArraySource(frozen, [0, 1, 0]).inputs.tolist() == [[0, 1], [2, 3], [4, 5]]
