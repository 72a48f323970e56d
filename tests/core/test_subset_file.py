import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prune_kit.errors import PruneKitError, StoreError
from prune_kit.subset_file import read_ids, write_ids

SUFFIXES = (".parquet", ".txt", ".npy", ".csv")
INTEGERS = np.array([7, -3, 0, 2**63 - 1, -(2**63)])
STRINGS = np.array(["b/2.png", "a, b.png", 'say "x".png', "ü.png", " space ", "007", "12"])


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".TXT", ".NPY"])
@pytest.mark.parametrize("ids", [INTEGERS, STRINGS], ids=["integers", "strings"])
def test_what_is_written_is_read(tmp_path, suffix, ids):
    path = tmp_path / f"kept{suffix}"
    write_ids(path, ids)
    read = read_ids(path)
    assert read.dtype.kind == ids.dtype.kind
    assert read.tolist() == ids.tolist()
    write_ids(path, ids[:2])
    assert read_ids(path).tolist() == ids[:2].tolist()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(SUFFIXES), st.lists(names, min_size=1, max_size=5, unique=True))
def test_any_strings_are_read_back_or_refused(tmp_path_factory, suffix, ids):
    path = tmp_path_factory.mktemp("ids") / f"kept{suffix}"
    try:
        write_ids(path, ids)
    except PruneKitError:
        assert suffix in (".txt", ".csv")
        assert not path.exists()
        return
    assert read_ids(path).tolist() == ids


def test_each_kind_of_file_is_what_others_read(tmp_path):
    for suffix in SUFFIXES:
        write_ids(tmp_path / f"kept{suffix}", [30, 10])
    assert pq.read_table(tmp_path / "kept.parquet").to_pydict() == {"id": [30, 10]}
    assert (tmp_path / "kept.txt").read_text() == "30\n10\n"
    assert np.load(tmp_path / "kept.npy").tolist() == [30, 10]
    with (tmp_path / "kept.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"id": "30"}, {"id": "10"}]


def test_other_columns_are_passed_over(tmp_path):
    pq.write_table(pa.table({"score": [0.5, 0.25], "id": [4, 2]}), tmp_path / "scores.parquet")
    assert read_ids(tmp_path / "scores.parquet").tolist() == [4, 2]
    (tmp_path / "a.csv").write_text("\ufeffscore,id\n0.5,4\n0.25,2\n", encoding="utf-8")
    assert read_ids(tmp_path / "a.csv").tolist() == [4, 2]


def test_text_from_windows(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf4\r\n2\r\n\r\n")
    assert read_ids(tmp_path / "a.txt").tolist() == [4, 2]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "names no ids"),
        ("a.txt", b"1\n2\n1\n", r"`ids in .*a\.txt` must name each example once; 1 occur"),
        ("a.txt", b"\xff\xfe\x00", "not UTF-8 text"),
        ("a.csv", b"name\n1\n", "no column 'id'; it has name"),
        ("a.csv", b"id\n", "names no ids"),
        ("a.csv", b"", "no column 'id'; it has none"),
        ("a.csv", b"name,id\nx,1\ny\n", "column id must have no gaps"),
        ("a.csv", b'id\n"1\n', "not readable CSV"),
        ("a.npy", b"", "not a readable .npy file"),
        ("a.npy", b"\x93NUMPY\x01\x00\x76\x00{", "not a readable .npy file"),
        ("a.parquet", b"PAR1", "not a readable Parquet file"),
        ("a.parquet", b"", "not a readable Parquet file"),
        ("a.json", b"[]", r"must end in \.parquet, \.txt, \.npy, \.csv; got 'a\.json'"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PruneKitError, match=message):
        read_ids(tmp_path / name)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"name": ["a"]}, "no column 'id'; it has name"),
        ({"id": [1, None]}, "must have no nulls; got 1"),
        ({"id": [0.5]}, "must be integers or strings; got dtype float64"),
        ({"id": pa.array([], pa.int64())}, "names no ids"),
        ({"id": ["a", "a"]}, "'a' occur more than once"),
    ],
)
def test_bad_parquet_is_named(tmp_path, table, message):
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(PruneKitError, match=message):
        read_ids(tmp_path / "a.parquet")


def test_arrays_of_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array(["a", None], dtype=object), allow_pickle=True)
    with pytest.raises(StoreError, match="not a readable"):
        read_ids(tmp_path / "a.npy")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(StoreError, match="there is no file"):
        read_ids(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("name", "ids", "message"),
    [
        ("a.txt", [], "no ids to write"),
        ("a.txt", ["a\nb"], "line breaks"),
        ("a.txt", ["1", "2"], "would be read back from .txt as integers"),
        ("a.csv", ["1", "2"], "would be read back from .csv as integers"),
        ("a.csv", ["", "b"], "empty id"),
        ("a.npy", [1, 1], "1 occur more than once"),
        ("a.parquet", [0.5], "integers or strings"),
        ("a", [1], "must end in"),
        ("none/a.txt", [1], "there is no folder"),
    ],
)
def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path, name, ids, message):
    with pytest.raises(PruneKitError, match=message):
        write_ids(tmp_path / name, np.array(ids))
    assert list(tmp_path.iterdir()) == []
