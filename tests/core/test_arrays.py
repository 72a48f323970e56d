from __future__ import annotations

import array_api_strict
import dask.array
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from prune_kit.arrays import (
    as_array,
    dtype_name,
    float_name,
    is_dask,
    like,
    namespace,
    on_host,
    row_slices,
    to_numpy,
    wide_float,
)
from prune_kit.errors import PruneKitError

LIBRARIES = {
    "numpy": np.asarray,
    "strict": array_api_strict.asarray,
    "torch": torch.asarray,
    "jax": jnp.asarray,
    "dask": dask.array.from_array,
}
VALUES = np.array([[1.5, -2.0, 3.25], [0.0, 5.0, 1e-3]], np.float32)


@pytest.fixture(params=LIBRARIES)
def library(request):
    return LIBRARIES[request.param]


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.bool_])
def test_a_round_trip_keeps_values_type_and_library(library, dtype):
    values = VALUES.astype(dtype)
    array = library(values)
    back = to_numpy(array)
    assert isinstance(back, np.ndarray)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, values)
    again = like(back, array)
    assert type(again) is type(array)
    assert dtype_name(again) == np.dtype(dtype).name
    np.testing.assert_array_equal(to_numpy(again), values)


def test_arrays_of_a_supported_library_stay_what_they_are(library):
    array = library(VALUES)
    assert type(as_array(array, "x")) is type(array)
    assert namespace(as_array(array, "x")) is not None


def test_like_keeps_the_device():
    other = array_api_strict.Device("device1")
    reference = array_api_strict.asarray(VALUES, device=other)
    assert like(np.arange(3.0), reference).device == other


def test_torch_tensors_are_detached_and_not_copied():
    tensor = torch.ones(3, requires_grad=True)
    array = as_array(tensor, "x")
    assert not array.requires_grad
    assert array.data_ptr() == tensor.data_ptr()
    assert to_numpy(tensor).tolist() == [1, 1, 1]


def test_bfloat16_becomes_float32_exactly():
    for array in (
        torch.tensor([1.0, 3.140625], dtype=torch.bfloat16),
        jnp.asarray([1, 3.140625], jnp.bfloat16),
    ):
        values = to_numpy(array)
        assert values.dtype == np.float32
        assert values.tolist() == [1.0, 3.140625]


class WithArray:
    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0], dtype)


class WithDLPack:
    def __init__(self):
        self.values = np.array([1.0, 2.0])

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


@pytest.mark.parametrize("given", [[1.0, 2.0], (1, 2), WithArray(), WithDLPack()])
def test_everything_else_becomes_numpy(given):
    array = as_array(given, "x")
    assert type(array) is np.ndarray
    assert array.tolist() == [1, 2]


def test_what_is_no_array_is_refused():
    with pytest.raises(PruneKitError, match=r"`logits` must be an array .* got list"):
        as_array([[1, 2], [3]], "logits")


def test_masked_entries_are_refused_and_unmasked_arrays_taken():
    masked = np.ma.masked_array([1.0, 2.0], mask=[False, True])
    with pytest.raises(PruneKitError, match="masked"):
        as_array(masked, "x")
    assert type(as_array(np.ma.masked_array([1.0, 2.0]), "x")) is np.ndarray


def test_jax_tracers_are_refused():
    import jax

    with pytest.raises(PruneKitError, match="tracer"):
        jax.jit(lambda x: as_array(x, "x"))(jnp.ones(3))


def test_mixed_libraries_are_refused_by_name():
    with pytest.raises(PruneKitError, match=r"one library; got numpy\.ndarray, torch\.Tensor"):
        namespace(np.ones(2), torch.ones(2))


@pytest.mark.parametrize(
    ("array", "name"),
    [
        (np.ones(1, np.float16), "float32"),
        (np.ones(1, ">f4"), "float32"),
        (np.ones(1, np.int8), "float64"),
        (np.ones(1, np.longdouble), "float64"),
        (torch.ones(1, dtype=torch.bfloat16), "float32"),
        (torch.ones(1, dtype=torch.int64), "float32"),
        (torch.ones(1, dtype=torch.float64), "float64"),
        (jnp.ones(1, jnp.int32), "float32"),
        (array_api_strict.ones(1), "float64"),
    ],
)
def test_the_type_of_results(array, name):
    assert float_name(array) == name


def test_the_widest_float_of_each_library():
    assert wide_float(torch.ones(1)) == torch.float64
    assert wide_float(jnp.ones(1)) == jnp.float32
    assert wide_float(np.ones(1, np.float32)) == np.float64


def test_what_numpy_can_read_in_place():
    assert on_host(np.ones(1))
    assert on_host(torch.ones(1))
    assert on_host(jnp.ones(1))
    assert not on_host(torch.ones(1, device="meta"))
    assert not on_host(array_api_strict.ones(1))
    assert is_dask(dask.array.ones(1))
    assert not is_dask(np.ones(1))


@pytest.mark.parametrize(("n", "step"), [(10, 3), (9, 3), (2, 5), (1, 1)])
def test_row_slices_cover_every_row_once(n, step):
    rows = [row for part in row_slices(n, step) for row in range(n)[part]]
    assert rows == list(range(n))
    assert all(part.stop <= n and part.stop - part.start <= step for part in row_slices(n, step))
