"""Columns that are filled part by part are what joining the parts gives."""

import numpy as np
import pytest

from prune_kit_onnx.growing import GrowingColumns


@pytest.mark.parametrize("rows", [None, 20, 5])
def test_parts_become_whole(rows):
    rng = np.random.default_rng(0)
    parts = [
        {
            "id": np.array([f"{'x' * i}{j}" for j in range(n)]),
            "label": rng.random((n, 3), dtype=np.float32),
            "predicted": rng.integers(0, 3, n),
        }
        for i, n in enumerate((3, 1, 7, 2, 7))
    ]
    columns = GrowingColumns(rows)
    assert columns.whole() == {}
    for part in parts:
        columns.append(part)
    for name, array in columns.whole().items():
        expected = np.concatenate([part[name] for part in parts])
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == expected.dtype
