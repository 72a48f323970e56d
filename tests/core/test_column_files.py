"""Files of plain columns: what was written comes back, and damage is told."""

import numpy as np
import pytest

from prune_kit.column_files import read_columns, write_columns
from prune_kit.errors import StoreError

COLUMNS = {"name": np.array(["a", "b"]), "count": np.array([1, 2]), "value": np.array([0.5, np.nan])}


def test_what_was_written_comes_back_in_the_order_asked_for(tmp_path):
    path = tmp_path / "columns.parquet"
    write_columns(path, COLUMNS, {"made": ["here"]})
    columns, provenance = read_columns(path, names=("value", "name"), made_by="`it`")
    assert list(columns) == ["value", "name"]
    assert columns["name"].tolist() == ["a", "b"]
    assert columns["value"].dtype == np.float64
    np.testing.assert_array_equal(columns["value"], COLUMNS["value"])
    assert provenance == {"made": ["here"]}


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name, provenance in (("a", {"x": 1, "y": 2}), ("b", {"y": 2, "x": 1})):
        write_columns(tmp_path / name, COLUMNS, provenance)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_no_such_file_is_told(tmp_path):
    path = tmp_path / "columns.parquet"
    with pytest.raises(StoreError, match=r"there is no file .*columns.parquet. Hint: `it` makes it"):
        read_columns(path, names=("name",), made_by="`it`")
    write_columns(path, COLUMNS, {})
    with pytest.raises(StoreError, match="lacks the columns other"):
        read_columns(path, names=("name", "other"), made_by="`it`")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="is not a readable Parquet file"):
        read_columns(path, names=("name",), made_by="`it`")
