"""The kept examples, whichever kind of data they are of."""

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
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


class Named(Dataset):
    """Examples that bring integer ids of their own, which are other examples' positions."""

    def __init__(self, as_dict):
        self.as_dict = as_dict

    def __len__(self):
        return N

    def __getitem__(self, i):
        return {"x": i, "label": 0, "id": N - 1 - i} if self.as_dict else (i, 0, N - 1 - i)


def test_ids_that_the_examples_bring_are_never_taken_for_positions():
    backwards = np.arange(N)[::-1].copy()
    kept = pk.ScoreTable([0, 1], [0, 0], {})
    whole = TensorDataset(torch.arange(N), torch.zeros(N), torch.tensor(backwards))
    assert inputs_of(pkt.subset(whole, kept)) == [19, 18]
    assert inputs_of(pkt.subset(DataLoader(whole), kept).dataset) == [19, 18]
    for as_dict in (False, True):
        data = Named(as_dict)
        with pytest.raises(PruneKitError, match=r"each example of the Named brings its own.*ids=table\.ids"):
            pkt.subset(data, kept)
        key = "x" if as_dict else 0
        assert [each[key] for each in pkt.subset(data, kept, ids=backwards)] == [19, 18]
        assert [each[key] for each in pkt.subset(data, [0, 1])] == [0, 1]


@pytest.mark.parametrize("column", ["id", "ids", "example_id", "example_ids"])
def test_ids_of_hugging_face_data_sets_in_any_format(column):
    datasets = pytest.importorskip("datasets")
    whole = datasets.Dataset.from_dict({"x": list(range(N)), column: list(range(N))[::-1]})
    kept = pk.ScoreTable([0, 1], [0, 0], {})
    for data in (whole, whole.with_format("torch"), whole.with_transform(lambda batch: {"x": batch["x"]})):
        assert [int(row["x"]) for row in pkt.subset(data, kept)] == [19, 18]


def test_what_score_calls_the_examples_is_what_subset_looks_up():
    x = torch.randn(N, 4, generator=torch.Generator().manual_seed(0))
    ids = np.random.default_rng(0).permutation(N)
    model = torch.nn.Linear(4, 3)
    datasets = pytest.importorskip("datasets")
    columns = {"input": x.tolist(), "label": [i % 3 for i in range(N)], "id": ids.tolist()}
    for data in (
        TensorDataset(x, torch.arange(N) % 3, torch.tensor(ids)),
        (x, torch.arange(N) % 3, ids),
        datasets.Dataset.from_dict(columns).with_format("torch"),
    ):
        table = pkt.score(model, data)
        kept = table.take(pk.keep_hardest(table["el2n"], count=5))
        again = pkt.score(model, pkt.subset(data, kept))
        assert again.ids.tolist() == kept.ids.tolist()
        np.testing.assert_allclose(again["el2n"], kept["el2n"], rtol=1e-5)


def test_rows_of_pandas_are_taken_by_position():
    pandas = pytest.importorskip("pandas")
    x = pandas.DataFrame({"a": range(N)}, index=range(N)[::-1])
    y = pandas.Series(range(N), index=range(N)[::-1])
    assert [each.tolist() for each in pkt.subset([x, y], [2, 7])] == [[[2], [7]], [2, 7]]


def test_a_loader_keeps_how_its_workers_are_run(data):
    loader = DataLoader(
        data,
        num_workers=1,
        persistent_workers=True,
        worker_init_fn=print,
        multiprocessing_context="spawn",
        prefetch_factor=3,
        timeout=5,
    )
    part = pkt.subset(loader, [1, 2])
    names = ("persistent_workers", "worker_init_fn", "multiprocessing_context", "prefetch_factor", "timeout")
    for name in names:
        assert getattr(part, name) == getattr(loader, name)


def test_a_loader_keeps_the_generator_of_its_sampler(data):
    generator = torch.Generator()
    loader = DataLoader(data, sampler=RandomSampler(data, generator=generator), batch_size=2)
    part = pkt.subset(loader, [1, 2, 3, 4])
    orders = [[int(x) for batch, _ in part for x in batch] for _ in map(generator.manual_seed, [5, 5, 6])]
    assert orders[0] == orders[1] != orders[2]
    single = pkt.subset(DataLoader(data, batch_size=None), [3, 5])
    assert [int(x) for x, _ in single] == [3, 5]


class MyLoader(DataLoader):
    pass


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
        ([float("nan")], "got float64"),
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
        (lambda data: data.tensors[:1], r"arrays must be \(inputs, labels\)"),
        (lambda data: (data.tensors[0], torch.zeros(5)), "the same length; got 20, 5"),
        (lambda data: {"train": data, "test": data}, "got a dict of 'train', 'test'.*give one of these"),
        (MyLoader, "must be a plain DataLoader; a MyLoader has settings of its own"),
        (lambda data: DataLoader(Streamed()), "`data` streams"),
        (lambda data: DataLoader(data, sampler=RandomSampler(data, replacement=True)), "got RandomSampler"),
        (lambda data: DataLoader(data, sampler=SequentialSampler(range(5))), "got SequentialSampler"),
        (
            lambda data: DataLoader(data, batch_sampler=BatchSampler(SequentialSampler(data), 2, False)),
            "got BatchSampler",
        ),
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
