"""The kept examples, whichever kind of data they are of."""

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    SequentialSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

import prune_kit as pk
import prune_kit_torch as pkt
from prune_kit.data import load_examples
from prune_kit.errors import PruneKitError, StoreError

N = 20


@pytest.fixture
def data():
    return TensorDataset(torch.arange(N).float(), torch.arange(N) % 3)


def inputs_of(data):
    return [int(data[i][0]) for i in range(len(data))]


@pytest.mark.parametrize("convert", [list, np.array, torch.tensor, lambda x: np.array(x, np.uint16)])
def test_positions_as_the_keep_functions_return_them(data, convert):
    part = pkt.subset(data, convert([3, 11, 19]))
    assert isinstance(part, torch.utils.data.Subset)
    assert inputs_of(part) == [3, 11, 19]
    kept = pk.keep_hardest(torch.arange(N).float(), fraction=0.25)
    assert inputs_of(pkt.subset(data, kept)) == [15, 16, 17, 18, 19]
    assert inputs_of(pkt.subset(data, [9, 2])) == [9, 2]


def test_ids_from_files_and_tables(data, tmp_path):
    for suffix in (".parquet", ".txt", ".npy", ".csv"):
        pk.write_ids(tmp_path / f"kept{suffix}", [4, 7])
        assert inputs_of(pkt.subset(data, tmp_path / f"kept{suffix}")) == [4, 7]
        assert inputs_of(pkt.subset(data, str(tmp_path / f"kept{suffix}"))) == [4, 7]
    assert inputs_of(pkt.subset(data, pk.ScoreTable([7, 4], [0, 0], {}))) == [7, 4]
    with pytest.raises(StoreError, match="there is no file"):
        pkt.subset(data, tmp_path / "none.txt")


def test_ids_are_looked_up_among_those_of_the_data(data):
    names = [f"e{i}" for i in range(N)][::-1]
    assert inputs_of(pkt.subset(data, ["e19", "e0"], ids=names)) == [0, 19]
    numbers = np.arange(N)[::-1] * 10
    assert inputs_of(pkt.subset(data, [190, 0], ids=numbers)) == [0, 19]
    x, y = data.tensors
    arrays = pkt.subset((x, y, numbers), pk.ScoreTable([10, 40], [0, 0], {}))
    assert [each.tolist() for each in arrays] == [[18, 15], [0, 0], [10, 40]]
    assert type(arrays) is tuple
    # Integers by themselves are positions, also where the data has ids of its own.
    assert pkt.subset((x, y, numbers), [1, 4])[2].tolist() == [180, 150]


def test_examples_of_the_core():
    digits = load_examples("digits")
    kept = pk.keep_random(len(digits), count=7, seed=0)
    by_position, by_id = (
        pkt.subset(digits, kept),
        pkt.subset(digits, pk.ScoreTable(digits.ids[kept], digits.labels[kept], {})),
    )
    assert by_position.ids.tolist() == by_id.ids.tolist() == digits.ids[kept].tolist()


def test_hugging_face_data_sets_are_selected():
    datasets = pytest.importorskip("datasets")
    plain = datasets.Dataset.from_dict({"text": [f"t{i}" for i in range(N)], "label": [0] * N})
    part = pkt.subset(plain, [5, 3])
    assert type(part) is datasets.Dataset
    assert part["text"][:] == ["t5", "t3"]
    named = plain.add_column("id", [f"n{i}" for i in range(N)][::-1])
    assert pkt.subset(named, ["n19", "n0"])["text"][:] == ["t0", "t19"]
    assert pkt.subset(named, pk.ScoreTable(["n1"], [0], {}))["text"][:] == ["t18"]
    assert pkt.subset(named, [1])["text"][:] == ["t1"]


def collate_sum(rows):
    return torch.stack([x for x, _ in rows]).sum()


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_loader_keeps_its_settings(data, shuffle):
    generator = torch.Generator().manual_seed(3)
    loader = DataLoader(data, batch_size=3, shuffle=shuffle, drop_last=True, generator=generator)
    part = pkt.subset(loader, [2, 5, 7, 9, 11])
    batches = [x.tolist() for x, _ in part]
    assert [len(batch) for batch in batches] == [3]
    assert set(batches[0]) <= {2, 5, 7, 9, 11}
    assert part.generator is generator
    seen = {tuple(x.tolist()) for _ in range(20) for x, _ in part}
    assert (len(seen) > 1) == shuffle
    loader = DataLoader(
        data, batch_size=2, collate_fn=collate_sum, num_workers=1, prefetch_factor=4, timeout=9
    )
    part = pkt.subset(loader, [2, 5, 7])
    assert [int(each) for each in part] == [7, 7]
    for name in ("num_workers", "prefetch_factor", "timeout", "collate_fn", "pin_memory"):
        assert getattr(part, name) == getattr(loader, name)
    recorder = pkt.ScoreRecorder(None, 3)
    for ids, (x, _) in pkt.with_ids(pkt.subset(DataLoader(data, batch_size=2), [2, 5, 7])):
        assert x.tolist() == [[2, 5, 7][i] for i in ids]
        recorder.update(ids, torch.randn(len(ids), 3), torch.zeros(len(ids), dtype=torch.int64))
    assert len(recorder.end_epoch().table) == 3


def test_the_positions_fit_a_data_loaders_own_keyword(data):
    kept = pk.keep_hardest(torch.arange(N).float(), count=4)
    loader = DataLoader(data, batch_size=3, sampler=SubsetRandomSampler(kept))
    assert sorted(int(x) for batch, _ in loader for x in batch) == [16, 17, 18, 19]


class Streamed(IterableDataset):
    def __iter__(self):
        return iter(range(3))


class NoLength(Dataset):
    def __getitem__(self, position):
        return position


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ([], "`kept` must name at least one example"),
        ([1, 1], "`kept` must name each example once; 1 occur more than once"),
        ([0, N], f"`kept` must be from 0 to {N - 1}, .*got {N}"),
        ([-1], "got -1"),
        (np.ones(N, bool), r"got bool of shape \(20,\).*flatnonzero"),
        ([0.5], "`kept` must be positions or ids, .* got float64"),
        ([[1, 2]], r"shape \(k,\); got int64 of shape \(1, 2\)"),
        (["a"], "holds ids that are strings .'a'., and the data has no ids.*ids="),
    ],
)
def test_what_names_no_subset_is_told(data, kept, message):
    with pytest.raises(PruneKitError, match=message):
        pkt.subset(data, kept)


def test_unknown_ids_are_told(data):
    names = [f"e{i}" for i in range(N)]
    with pytest.raises(PruneKitError, match="no example with the ids 'x'.*of other data"):
        pkt.subset(data, ["e1", "x"], ids=names)
    with pytest.raises(PruneKitError, match="are strings; got integers"):
        pkt.subset(data, [1], ids=names)
    with pytest.raises(PruneKitError, match=r"`ids` must have shape \(20,\)"):
        pkt.subset(data, ["e1"], ids=names[:5])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda data: Streamed(), "must have a length and give examples by position; got Streamed"),
        (lambda data: NoLength(), "got NoLength"),
        (lambda data: 5, "got int"),
        (lambda data: (1, 2), r"arrays must be \(inputs, labels\)"),
        (
            lambda data: DataLoader(data, sampler=WeightedRandomSampler([1.0] * N, N)),
            "got WeightedRandomSampler",
        ),
        (
            lambda data: DataLoader(data, batch_sampler=Own(SequentialSampler(data), 2, False)),
            "got Own.*SubsetRandom",
        ),
    ],
)
def test_data_that_cannot_be_cut_is_told(data, make, message):
    with pytest.raises(PruneKitError, match=message):
        pkt.subset(make(data), [0, 1])


class Own(BatchSampler):
    pass
