import json
import random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prune_kit.data import load_examples
from prune_kit.errors import PruneKitError, StoreError
from prune_kit.subset_file import read_ids
from prune_kit.table import ScoreTable

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def tables(draw):
    integers = st.integers(-(2**63), 2**63 - 1)
    ids = draw(
        st.lists(integers, min_size=1, max_size=6, unique=True)
        | st.lists(names, min_size=1, max_size=6, unique=True)
    )
    n = len(ids)
    bits = st.lists(st.integers(0, 2**32 - 1), min_size=n, max_size=n)
    if draw(st.booleans()):
        labels = np.array(draw(st.lists(st.integers(0, 99), min_size=n, max_size=n)))
    else:
        flat = draw(st.lists(st.floats(0, 1, width=32), min_size=3 * n, max_size=3 * n))
        labels = np.array(flat, np.float32).reshape(n, 3)
    columns = {
        # Any bits, so NaNs, infinities and subnormals too.
        "el2n": np.array(draw(bits), np.uint32).view(np.float32),
        "wide": np.array(draw(st.lists(st.floats(), min_size=n, max_size=n)), np.float64),
        "predicted": np.array(draw(st.lists(st.integers(0, 99), min_size=n, max_size=n))),
    }
    return ScoreTable(ids, labels, columns, draw(st.dictionaries(names, json_values, max_size=3)))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(tables())
def test_what_is_written_is_read_bit_for_bit(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("table") / "scores.parquet"
    assert table.to_parquet(path) == path
    read = ScoreTable.read(path)
    assert read.ids.dtype.kind == table.ids.dtype.kind
    assert read.ids.tolist() == table.ids.tolist()
    assert read.labels.dtype == table.labels.dtype
    assert read.labels.shape == table.labels.shape
    assert read.labels.tobytes() == table.labels.tobytes()
    assert list(read) == ["el2n", "wide", "predicted"]
    for name in table:
        assert read[name].dtype == table[name].dtype
        assert read[name].tobytes() == table[name].tobytes()
    assert read.provenance == table.provenance
    assert [file.name for file in path.parent.iterdir()] == ["scores.parquet"]


def small(**columns):
    return ScoreTable([5, 3, 9], [0, 1, 1], columns or {"el2n": np.array([0.5, np.inf, 0.25], np.float32)})


def test_infinite_scores_of_examples_never_learned_are_scores(tmp_path):
    small().to_parquet(tmp_path / "a.parquet")
    assert ScoreTable.read(tmp_path / "a.parquet")["el2n"].tolist() == [0.5, np.inf, 0.25]


def test_others_read_the_file_without_the_kit(tmp_path):
    small().to_parquet(tmp_path / "a.parquet")
    frame = pd.read_parquet(tmp_path / "a.parquet")
    assert list(frame) == ["id", "label", "el2n"]
    assert [str(kind) for kind in frame.dtypes] == ["int64", "int64", "float32"]
    assert frame["id"].tolist() == [5, 3, 9]
    pd.testing.assert_frame_equal(frame, small().to_pandas())


def test_soft_labels_are_a_list_column(tmp_path):
    soft = np.array([[0.25, 0.75], [1, 0]], np.float32)
    ScoreTable(["a", "b"], soft, {}).to_parquet(tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet").to_pydict() == {
        "id": ["a", "b"],
        "label": [[0.25, 0.75], [1, 0]],
    }


def test_a_file_of_others_is_read(tmp_path):
    """Categorical and large strings, small integers, no metadata of the kit."""
    frame = pd.DataFrame({"label": np.array([1, 0], np.int8), "id": pd.Categorical(["b", "a"]), "x": [1, 2]})
    frame.to_parquet(tmp_path / "a.parquet")
    table = ScoreTable.read(tmp_path / "a.parquet")
    assert table.ids.tolist() == ["b", "a"]
    assert table.labels.tolist() == [1, 0]
    assert table["x"].tolist() == [1, 2]
    assert table.provenance == {}


def test_tensors_become_numpy():
    table = ScoreTable(torch.tensor([1, 2]), torch.tensor([0, 1]), {"el2n": torch.tensor([0.5, 1.0])})
    assert type(table["el2n"]) is np.ndarray
    assert table["el2n"].dtype == np.float32
    assert table.ids.dtype == np.int64


def test_take_keeps_rows_together():
    taken = small().take(np.array([2, 0]))
    assert taken.ids.tolist() == [9, 5]
    assert taken.labels.tolist() == [1, 0]
    assert taken["el2n"].tolist() == [0.25, 0.5]


def test_it_looks_like_a_mapping_of_columns():
    table = small()
    assert len(table) == 3
    assert list(table) == ["el2n"]
    assert "el2n" in table
    assert "id" not in table
    assert repr(table) == "ScoreTable(3 examples: el2n)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 1, 2], [0, 0, 0], {}), "must name each example once; 1 occur more than once"),
        (([0.5, 1.5], [0, 0], {}), "must be integers or strings; got dtype float64"),
        (([[1], [2]], [0, 0], {}), r"`ids` must have shape \(n,\)"),
        (([1, 2], [0], {}), r"`labels` must have shape \(2,\) or \(2, classes\); got \(1,\)"),
        (([1, 2], [0.0, 1.0], {}), "must be integer class indices; got float64"),
        (([1, 2], np.zeros((2, 2, 2)), {}), r"`labels` must have shape .*; got \(2, 2, 2\)"),
        (([1, 2], [0, 1], {"el2n": [0.5]}), r"column 'el2n' must have shape \(2,\), one per id; got \(1,\)"),
        (([1, 2], [0, 1], {"el2n": [[0.5], [1]]}), r"must have shape \(2,\), one per id; got \(2, 1\)"),
        (([1, 2], [0, 1], {"id": [0.5, 1]}), "a column cannot be called 'id'"),
        (([1, 2], [0, 1], {"label": [0.5, 1]}), "a column cannot be called 'label'"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(PruneKitError, match=message):
        ScoreTable(*arguments)


def test_an_unknown_column_is_named_with_those_there_are():
    with pytest.raises(PruneKitError, match="there is no column 'grand'; the columns are el2n"):
        small()["grand"]
    with pytest.raises(PruneKitError, match=r"Hint: ids and labels are `\.ids` and `\.labels`"):
        small()["label"]


def test_a_file_cut_short_anywhere_is_a_store_error(tmp_path):
    path = tmp_path / "a.parquet"
    small().to_parquet(path)
    whole = path.read_bytes()
    for length in [0, 1, 4, 8, *range(20, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(StoreError, match=r"a\.parquet is not a readable Parquet file") as caught:
            ScoreTable.read(path)
        assert "Hint: it may be cut short" in str(caught.value)


def test_damaged_bytes_give_a_table_or_a_store_error(tmp_path):
    """Never another exception, whatever byte is wrong."""
    path = tmp_path / "a.parquet"
    ScoreTable(["a", "b"], [0, 1], {"el2n": np.array([0.5, 1], np.float32)}, {"x": 1}).to_parquet(path)
    whole = path.read_bytes()
    dice = random.Random(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        path.write_bytes(damaged)
        try:
            ScoreTable.read(path)
        except StoreError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("content", [b"PAR1", b"not Parquet at all, but long enough to look", b"\0" * 4096])
def test_what_is_no_parquet_is_a_store_error(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(StoreError, match="not a readable Parquet file"):
        ScoreTable.read(tmp_path / "a.parquet")


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(StoreError, match=r"there is no file .*a\.parquet"):
        ScoreTable.read(tmp_path / "a.parquet")
    with pytest.raises(StoreError, match="not a readable Parquet file"):
        ScoreTable.read(tmp_path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": [1, 2]}, "must have columns id and label; it has id"),
        ({"id": [1, None], "label": [0, 1]}, r"a\.parquet: .*must be integers or strings"),
        ({"id": [1, 1], "label": [0, 1]}, r"a\.parquet: .*1 occur more than once"),
        ({"id": [1, 2], "label": ["cat", "dog"]}, r"a\.parquet: .*must be integer class indices"),
        ({"id": [1, 2], "label": [0, None]}, r"a\.parquet: .*must be integer class indices"),
        ({"id": [1, 2], "label": [[0.5, 0.5], [1.0]]}, r"a\.parquet: .*must be integer class indices"),
    ],
)
def test_parquet_that_holds_no_scores_is_named(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(StoreError, match=message):
        ScoreTable.read(tmp_path / "a.parquet")


@pytest.mark.parametrize("metadata", [b"{", b"\xff", json.dumps([1]).encode()])
def test_damaged_provenance_is_a_store_error(tmp_path, metadata):
    table = pa.table({"id": [1], "label": [0]}).replace_schema_metadata({b"prune_kit": metadata})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(StoreError, match=r"a\.parquet: its provenance"):
        ScoreTable.read(tmp_path / "a.parquet")


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.parquet"
    small().to_parquet(path)
    before = path.read_bytes()
    bad = small()
    bad.provenance = {"not JSON": object()}
    with pytest.raises(PruneKitError, match="`provenance` must hold JSON values alone"):
        bad.to_parquet(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.parquet"]
    with pytest.raises(StoreError, match="there is no folder"):
        small().to_parquet(tmp_path / "none" / "a.parquet")


def test_columns_of_several_values_per_example(tmp_path):
    probabilities = np.random.default_rng(0).random((4, 3)).astype(np.float32)
    table = ScoreTable([3, 1, 4, 2], [0, 1, 2, 0], {"el2n": np.arange(4.0), "probabilities": probabilities})
    file = table.to_parquet(tmp_path / "t.parquet")
    assert pq.read_schema(file).field("probabilities").type == pa.list_(pa.float32(), 3)
    read = ScoreTable.read(file)
    assert read["probabilities"].dtype == np.float32
    assert read["probabilities"].tobytes() == probabilities.tobytes()
    assert read["el2n"].tolist() == [0, 1, 2, 3]
    assert list(ScoreTable.read(file, columns=("el2n",))) == ["el2n"]
    frame = pd.read_parquet(file)
    assert np.stack(frame["probabilities"]).tolist() == probabilities.tolist()
    assert np.stack(table.to_pandas()["probabilities"]).tolist() == probabilities.tolist()
    assert table.take([2, 0])["probabilities"].tolist() == probabilities[[2, 0]].tolist()


@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (2, 2, 2), (2, 0)])
def test_columns_of_other_shapes_are_refused(shape):
    with pytest.raises(PruneKitError, match=r"column 'x' must have shape \(2,\), one per id; got"):
        ScoreTable([1, 2], [0, 1], {"x": np.zeros(shape)})


def test_a_column_of_lists_with_gaps_is_refused(tmp_path):
    gaps = pa.array([[0.5, 0.5], None, [0.1, 0.9]], pa.list_(pa.float32(), 2))
    pq.write_table(pa.table({"id": [1, 2, 3], "label": [0, 1, 0], "p": gaps}), tmp_path / "t.parquet")
    with pytest.raises(StoreError, match=r"column 'p' must have shape \(3,\)"):
        ScoreTable.read(tmp_path / "t.parquet")


def test_a_folder_may_be_called_like_an_address(tmp_path, monkeypatch):
    """pyarrow takes the part before a colon for the name of a file system."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:margin@2").mkdir()
    table = ScoreTable([1, 2], [0, 1], {"el2n": np.array([0.5, 0.25], np.float32)})
    table.to_parquet("a:margin@2/scores.parquet")
    assert ScoreTable.read("a:margin@2/scores.parquet")["el2n"].tolist() == [0.5, 0.25]
    assert read_ids("a:margin@2/scores.parquet").tolist() == [1, 2]
    assert list(load_examples("a:margin@2/scores.parquet", label_column="label").inputs[:, 0]) == [0.5, 0.25]
