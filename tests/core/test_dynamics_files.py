import pytest

from prune_kit.column_files import write_columns
from prune_kit.dynamics_files import BARRIER_TYPES, read_barrier, read_velocity
from prune_kit.errors import StoreError


def test_files_that_are_no_velocities(tmp_path):
    with pytest.raises(StoreError, match=r"there is no file .*`prunekit velocity` makes it"):
        read_velocity(tmp_path / "none.parquet")
    write_columns(tmp_path / "other.parquet", {"seed": [0], "epoch": [1]}, {})
    with pytest.raises(StoreError, match="lacks the columns next_epoch, group"):
        read_velocity(tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("velocity")
    with pytest.raises(StoreError, match="not a readable Parquet file"):
        read_velocity(tmp_path / "text.parquet")


def barrier_columns():
    columns = {name: [] for name in BARRIER_TYPES}
    for seed, kind, errors in ((0, "highest", [0.1, 0.6, 0.3]), (1, "all", [0.2, 0.1, 0.2])):
        for alpha, error in zip((0.0, 0.25, 1.0), errors, strict=True):
            for name, value in zip(BARRIER_TYPES, (seed, 4, kind, 9, alpha, error, 2 * error), strict=True):
                columns[name].append(value)
    return columns


def test_barriers_from_a_file_or_its_directory(tmp_path):
    columns = barrier_columns()
    write_columns(tmp_path / "barrier.parquet", columns, {})
    for path in (tmp_path, tmp_path / "barrier.parquet"):
        found = read_barrier(path)
        assert {name: column.tolist() for name, column in found.items()} == columns
        first, second = found.summary
        # 0.6 above the line from 0.1 to 0.3 at a quarter of the way.
        assert first["error_barrier"] == pytest.approx(0.6 - 0.15)
        assert first["loss_barrier"] == pytest.approx(2 * (0.6 - 0.15))
        assert (first["seed"], first["spawn_epoch"], first["examples"], first["count"]) == (
            0,
            4,
            "highest",
            9,
        )
        assert second["error_barrier"] == 0


def test_files_that_are_no_barriers(tmp_path):
    with pytest.raises(StoreError, match=r"there is no file .*`prunekit barrier` makes it"):
        read_barrier(tmp_path)
    write_columns(tmp_path / "barrier.parquet", {"seed": [0]}, {})
    with pytest.raises(StoreError, match="lacks the columns spawn_epoch"):
        read_barrier(tmp_path)
