import numpy as np
import pytest

from prune_kit.errors import RunConflictError, StoreError
from prune_kit.resumed_rows import ResumedRows

TYPES = {"seed": int, "name": str, "value": float}


def opened(path, **measured):
    return ResumedRows(
        path,
        types=TYPES,
        key=("seed", "name"),
        measured={"shape": (1, 2), **measured},
        made={"run": "r"},
        made_by="`test`",
    )


def row(seed, name, value=0.5):
    return {"seed": seed, "name": name, "value": value}


def test_rows_are_kept_in_order_and_found_again(tmp_path):
    rows = opened(tmp_path / "a.parquet")
    rows.add([row(2, "a", 1.0), row(1, "b", 2.0)])
    rows.add([row(1, "a", 3.0), row(2, "a", 4.0)])
    again = opened(tmp_path / "a.parquet")
    assert again.columns()["value"].tolist() == [3, 2, 4]
    assert again.columns()["seed"].dtype == np.int64
    assert again.columns()["name"].tolist() == ["a", "b", "a"]
    assert (1, "b") in again
    assert (2,) in again
    assert (3,) not in again
    assert (1, "c") not in again


def test_a_file_of_no_rows_is_one_of_its_kind(tmp_path):
    opened(tmp_path / "a.parquet").add([])
    assert opened(tmp_path / "a.parquet").columns()["seed"].tolist() == []
    with pytest.raises(RunConflictError, match="measured otherwise; what differs: other"):
        opened(tmp_path / "a.parquet", other=1)


def test_rows_of_another_measurement_stay(tmp_path):
    rows = opened(tmp_path / "a.parquet", size=1)
    rows.add([row(0, "a")])
    before = (tmp_path / "a.parquet").read_bytes()
    with pytest.raises(RunConflictError, match="what differs: size"):
        opened(tmp_path / "a.parquet", size=2)
    assert (tmp_path / "a.parquet").read_bytes() == before
    (tmp_path / "b.parquet").write_text("no table")
    with pytest.raises(StoreError, match="not a readable Parquet file"):
        opened(tmp_path / "b.parquet")
