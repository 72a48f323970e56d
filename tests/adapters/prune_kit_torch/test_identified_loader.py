"""The same batches as the loader's own, with the positions of their examples."""

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from prune_kit.errors import PruneKitError
from prune_kit_torch import with_ids

N = 23


@pytest.fixture
def data():
    return TensorDataset(torch.arange(N).float().view(-1, 1), torch.arange(N) % 4)


class Fetched(Dataset):
    """What DataLoaders ask for a whole batch at once, as Hugging Face datasets are."""

    def __len__(self):
        return N

    def __getitem__(self, position):
        raise AssertionError("asked for one by one")

    def __getitems__(self, positions):
        return [(torch.tensor([float(position)]), position % 4) for position in positions]


class Keyed(BatchSampler):
    """A batch sampler of the user's own."""

    def __init__(self):
        pass

    def __iter__(self):
        yield [5, 3]
        yield [1, 1, 0]

    def __len__(self):
        return 2


def collate_dict(examples):
    return {"x": torch.stack([x for x, _ in examples]), "labels": torch.stack([y for _, y in examples])}


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 5},
        {"batch_size": 5, "shuffle": True},
        {"batch_size": 5, "shuffle": True, "drop_last": True},
        {"batch_size": 4, "shuffle": True, "num_workers": 2, "prefetch_factor": 3},
        {"batch_sampler": Keyed()},
        {"batch_size": 3, "sampler": [2, 9, 4, 4]},
    ],
    ids=["ordered", "shuffled", "drop_last", "workers", "batch_sampler", "sampler"],
)
def test_batches_are_those_of_the_loader_and_ids_are_positions(data, options):
    loader = DataLoader(data, **options)
    torch.manual_seed(0)
    own = [list(loader) for _ in range(2)]
    state = torch.get_rng_state()
    torch.manual_seed(0)
    identified = with_ids(loader)
    given = [list(identified) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert len(identified) == len(loader)
    for of_epoch, own_of_epoch in zip(given, own, strict=True):
        for (ids, (x, y)), (own_x, own_y) in zip(of_epoch, own_of_epoch, strict=True):
            assert ids.dtype == torch.int64
            assert torch.equal(x, own_x)
            assert torch.equal(y, own_y)
            assert x[:, 0].long().tolist() == ids.tolist()


def test_collate_functions_and_data_sets_that_are_asked_for_batches_are_kept(data):
    for ids, batch in with_ids(DataLoader(data, batch_size=5, collate_fn=collate_dict)):
        assert batch["x"][:, 0].long().tolist() == ids.tolist()
    for ids, (x, _) in with_ids(DataLoader(Fetched(), batch_size=5)):
        assert x[:, 0].long().tolist() == ids.tolist()


def test_ids_of_a_subset_are_positions_in_the_subset(data):
    loader = DataLoader(Subset(data, [20, 3, 7]), batch_size=2)
    assert [(ids.tolist(), x[:, 0].tolist()) for ids, (x, _) in with_ids(loader)] == [
        ([0, 1], [20, 3]),
        ([2], [7]),
    ]


def test_settings_are_kept(data):
    generator = torch.Generator()
    loader = DataLoader(
        data,
        batch_size=3,
        num_workers=1,
        timeout=7,
        generator=generator,
        persistent_workers=True,
        worker_init_fn=np.random.seed,
        multiprocessing_context="fork",
    )
    identified = with_ids(loader)
    for name in ("num_workers", "timeout", "generator", "persistent_workers", "worker_init_fn", "batch_size"):
        assert getattr(identified, name) == getattr(loader, name), name
    assert identified.sampler is loader.sampler


def test_a_sampler_with_epochs_is_still_at_hand(data):
    sampler = torch.utils.data.DistributedSampler(data, num_replicas=2, rank=0, shuffle=True)
    identified = with_ids(DataLoader(data, batch_size=5, sampler=sampler))
    assert identified.sampler is sampler
    first = [ids.tolist() for ids, _ in identified]
    sampler.set_epoch(1)
    assert [ids.tolist() for ids, _ in identified] != first


class Streamed(IterableDataset):
    def __iter__(self):
        return iter(range(3))


class OwnIteration(DataLoader):
    def __iter__(self):
        return iter([])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda data: data, "`loader` must be a torch.utils.data.DataLoader; got TensorDataset"),
        (lambda data: DataLoader(Streamed()), "the examples of Streamed stream: they have no positions"),
        (lambda data: DataLoader(data, batch_size=None), "it has batch_size=None"),
        (OwnIteration, "OwnIteration iterates in a way of its own.*accelerator.prepare"),
    ],
)
def test_what_has_no_positions_is_told(data, make, message):
    with pytest.raises(PruneKitError, match=message):
        with_ids(make(data))
