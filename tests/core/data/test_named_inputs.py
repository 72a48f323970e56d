import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prune_kit.data import InputSpec, load_examples, open_examples
from prune_kit.errors import PruneKitError

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(1, 12, 100)
TOKENS = [RNG.integers(1, 30_000, length).tolist() for length in LENGTHS]
MASKS = [[1] * length for length in LENGTHS]
LABELS = RNG.integers(0, 2, 100)
INT64 = np.dtype(np.int64)
FLOAT32 = np.dtype(np.float32)


def write(path, row_group_size=13, **columns):
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return path


def padded(lists):
    """The definition, written out."""
    longest = max(map(len, lists))
    return [[*each, *[0] * (longest - len(each))] for each in lists]


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.large_list(pa.int32())])
@pytest.mark.parametrize("batch_size", [1, 8, 200])
def test_ragged_lists_are_padded_batch_by_batch(tmp_path, kind, batch_size):
    columns = {"input_ids": pa.array(TOKENS, kind), "attention_mask": MASKS, "label": LABELS}
    stream = open_examples(write(tmp_path / "x.parquet", text=["a word"] * 100, **columns))
    ragged = InputSpec((None,), INT64)
    assert stream.spec == {"input_ids": ragged, "attention_mask": ragged}
    start = 0
    for ids, inputs, labels in stream.batches(batch_size, workers=3):
        rows = slice(start, start + batch_size)
        assert list(inputs) == ["input_ids", "attention_mask"]
        assert {array.dtype for array in inputs.values()} == {INT64}
        assert inputs["input_ids"].tolist() == padded(TOKENS[rows])
        assert inputs["attention_mask"].tolist() == padded(MASKS[rows])
        assert labels.tolist() == LABELS[rows].tolist()
        start += len(ids)
    assert start == 100


def test_batches_cross_the_borders_of_files(tmp_path):
    for part, rows in enumerate((slice(0, 33), slice(33, 34), slice(34, 100))):
        write(tmp_path / f"{part}.parquet", input_ids=TOKENS[rows], label=LABELS[rows])
    batches = [*open_examples(tmp_path).batches(10)]
    assert [len(batch.labels) for batch in batches] == [10] * 10
    for i, batch in enumerate(batches):
        assert batch.inputs["input_ids"].tolist() == padded(TOKENS[10 * i : 10 * i + 10])


def test_lists_of_one_size_keep_it(tmp_path):
    tokens = RNG.integers(0, 9, (20, 7))
    columns = {"input_ids": pa.array(tokens.tolist(), pa.list_(pa.int16(), 7)), "label": LABELS[:20]}
    stream = open_examples(write(tmp_path / "x.parquet", **columns))
    assert stream.spec == {"input_ids": InputSpec((7,), INT64)}
    np.testing.assert_array_equal(
        [batch.inputs["input_ids"] for batch in stream.batches(5)], tokens.reshape(4, 5, 7)
    )


def test_any_columns_can_be_named(tmp_path):
    columns = {
        "id": RNG.permutation(100),
        "age": LENGTHS,
        "weights": [[w, 0.5] for w in LENGTHS / 2],
        "y": LABELS,
    }
    path = write(tmp_path / "x.parquet", **columns)
    stream = open_examples(path, input_column=["weights", "age"])
    assert stream.spec == {"weights": InputSpec((None,), FLOAT32), "age": InputSpec((), INT64)}
    (batch,) = stream.batches(100)
    assert list(batch.inputs) == ["weights", "age"]
    np.testing.assert_array_equal(batch.inputs["age"], LENGTHS)
    np.testing.assert_array_equal(batch.inputs["weights"][:, 0], LENGTHS / 2)
    assert batch.ids.tolist() == columns["id"].tolist()
    one = open_examples(path, input_column=["age"])
    assert list(one.spec) == ["age"]
    assert one.fingerprint != stream.fingerprint


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_by_name(tmp_path, save):
    tokens = RNG.integers(0, 30_000, (100, 9), dtype=np.int32)
    masks = RNG.random((100, 9)) > 0.5
    extra = RNG.random((100, 3))
    path = tmp_path / "x.npz"
    save(path, input_ids=tokens, attention_mask=masks, extra=extra, labels=LABELS, ids=np.arange(100) + 5)
    stream = open_examples(path)
    assert stream.spec == {name: InputSpec((9,), INT64) for name in ("input_ids", "attention_mask")}
    start = 0
    for ids, inputs, labels in stream.batches(32):
        rows = slice(start, start + 32)
        np.testing.assert_array_equal(inputs["input_ids"], tokens[rows])
        np.testing.assert_array_equal(inputs["attention_mask"], masks[rows])
        assert labels.tolist() == LABELS[rows].tolist()
        assert ids[0] == start + 5
        start += len(ids)
    assert start == 100
    chosen = open_examples(path, input_column=("extra", "input_ids"))
    (batch,) = chosen.batches(100)
    assert batch.inputs["extra"].dtype == np.float32
    np.testing.assert_array_equal(batch.inputs["extra"], extra.astype(np.float32))
    single = open_examples(path, input_column="extra")
    np.testing.assert_array_equal(next(single.batches(100)).inputs, extra.astype(np.float32))
    assert len({each.fingerprint for each in (stream, chosen, single)}) == 3


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"input_ids": [[1], None]}, "column input_ids must have no nulls.*row 1"),
        ({"input_ids": [[1], [2, None]]}, "lists of the column input_ids must have no nulls; got 1"),
        ({"input_ids": ["a", "b"]}, "numbers or of lists of numbers; input_ids is string"),
        ({"input_ids": [[[1]], [[2]]]}, "numbers or of lists of numbers; input_ids is list<.*list<"),
        ({"input_ids": [[1], [2]], "token_type_ids": ["a", "b"]}, "token_type_ids is string"),
    ],
)
def test_bad_columns_are_named(tmp_path, columns, message):
    path = write(tmp_path / "x.parquet", **columns, label=[0, 1])
    with pytest.raises(PruneKitError, match=message):
        [*open_examples(path).batches(2)]


def test_numbers_among_several_must_be_finite(tmp_path):
    path = write(tmp_path / "x.parquet", a=[1.0, np.inf, 2.0], b=[1, 2, 3], label=[0, 1, 1])
    with pytest.raises(PruneKitError, match="finite numbers.*with the ids 1"):
        [*open_examples(path, input_column=["b", "a"]).batches(2)]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"input_ids": np.ones((3, 2), int), "attention_mask": np.ones((2, 2), int)},
            "one row per example.*got {",
        ),
        ({"input_ids": np.ones((0, 2), int)}, "at least one; got {'input_ids': 0}"),
        ({"input_ids": np.array(3)}, "one row per example, at least one"),
        ({"input_ids": np.array(["a", "b", "c"])}, "the input input_ids must be numbers; got dtype <U1"),
    ],
)
def test_bad_arrays_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays, labels=LABELS[:3])
    with pytest.raises(PruneKitError, match=message):
        open_examples(tmp_path / "x.npz")


def test_bad_names_are_named(tmp_path):
    path = write(tmp_path / "x.parquet", a=[1.0], b=[2.0], label=[0])
    np.savez(tmp_path / "x.npz", a=[1.0], y=[0])
    for source in (path, tmp_path / "x.npz"):
        with pytest.raises(PruneKitError, match="no column 'c'; it has a, .*check input_column"):
            open_examples(source, input_column=["a", "c"])
        with pytest.raises(PruneKitError, match=r"`input_column` must name a column, or several; got \[\]"):
            open_examples(source, input_column=[])
        with pytest.raises(PruneKitError, match="several inputs, not images|features, not images"):
            open_examples(source, input_column=["a"], image_size=4)
    with pytest.raises(PruneKitError, match=r"name one column; got \['a', 'b'\]\. Hint: .*open_examples"):
        load_examples(path, input_column=["a", "b"])


def test_load_examples_holds_one_array(tmp_path):
    """It reads tokens as the features that they were before there were streams."""
    path = write(tmp_path / "x.parquet", input_ids=[[1, 2], [3, 4]], label=[0, 1])
    assert load_examples(path).inputs.dtype == np.float32
