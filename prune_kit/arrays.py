"""The one file that knows array namespaces (array-api-compat)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import array_api_compat as compat
import numpy as np
import numpy.typing as npt

from .errors import PruneKitError

Array: TypeAlias = Any
"""An array of any supported library: NumPy, PyTorch, JAX, CuPy, Dask, array-api-strict."""

NumpyArray: TypeAlias = npt.NDArray[Any]

HALF_TYPES = ("float16", "bfloat16")
"""Types that are computed in float32, and whose results are float32."""


def as_array(x: object, name: str) -> Array:
    """`x` itself if it is an array of a supported library, else as NumPy.

    Torch tensors are detached. Sequences, and anything with `__array__` or `__dlpack__`, become NumPy.
    """
    if compat.is_torch_array(x):
        return x.detach()
    if isinstance(x, np.ndarray):
        if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
            raise PruneKitError(f"`{name}` must not have masked entries.", hint="drop those rows first")
        return np.asarray(x)
    if compat.is_array_api_obj(x):
        if compat.is_jax_array(x) and _is_traced(x):
            raise PruneKitError(
                f"`{name}` must hold values; got a JAX tracer.",
                hint="values are checked, which cannot be traced: call this outside `jax.jit` and `jax.vmap`",
            )
        return x
    try:
        if not hasattr(x, "__array__") and hasattr(x, "__dlpack__"):
            return np.from_dlpack(x)
        return np.asarray(x)
    except (ValueError, TypeError, BufferError, RuntimeError) as error:
        raise PruneKitError(
            f"`{name}` must be an array (NumPy, PyTorch, JAX, CuPy, Dask) or convertible to one; "
            f"got {type(x).__name__}: {error}"
        ) from error


def _is_traced(x: Array) -> bool:
    import jax

    return isinstance(x, jax.core.Tracer)


def namespace(*arrays: Array) -> Any:
    """Find the array API namespace that `arrays` share."""
    try:
        return compat.array_namespace(*arrays)
    except TypeError as error:
        kinds = ", ".join(sorted({f"{type(a).__module__}.{type(a).__name__}" for a in arrays}))
        raise PruneKitError(
            f"arrays must all come from one library; got {kinds}.",
            hint="convert them first, for example with numpy.asarray",
        ) from error


def is_dask(x: Array) -> bool:
    """Whether `x` is a Dask array."""
    return bool(compat.is_dask_array(x))


def device_of(x: Array) -> Any:
    """Where `x` lies, in its own library's terms."""
    return compat.device(x)


def dtype_name(x: Array) -> str:
    """Name the data type, the same in every library: "float32", "bfloat16", "int64", ..."""
    return _type_name(x.dtype)


def _type_name(dtype: Any) -> str:
    return str(getattr(dtype, "name", None) or str(dtype).rpartition(".")[2])


def float_name(x: Array) -> str:
    """Name of the type in which `x` is computed and answered.

    float64 stays, float16 and bfloat16 become float32, integers the default float of their library.
    """
    name = dtype_name(x)
    if name in HALF_TYPES:
        return "float32"
    if not name.startswith("float"):
        defaults = namespace(x).__array_namespace_info__().default_dtypes(device=device_of(x))
        return _type_name(defaults["real floating"])
    return "float32" if name == "float32" else "float64"


def wide_float(x: Array) -> Any:
    """Find the widest float type that the library has where `x` lies: float64, in JAX mostly float32."""
    xp = namespace(x)
    floats = xp.__array_namespace_info__().dtypes(device=device_of(x), kind="real floating")
    return floats.get("float64", xp.float32)


def on_host(x: Array) -> bool:
    """Whether NumPy can read the memory of `x` in place."""
    if compat.is_numpy_array(x):
        return True
    if compat.is_torch_array(x):
        return bool(x.device.type == "cpu")
    return bool(compat.is_jax_array(x)) and all(device.platform == "cpu" for device in x.devices())


def to_numpy(x: Array) -> NumpyArray:
    """`x` as a NumPy array, copied from its device where it has to be (bfloat16 becomes float32)."""
    x = as_array(x, "array")
    if compat.is_torch_array(x):
        if dtype_name(x) == "bfloat16":
            x = x.float()
        return np.asarray(x.cpu().numpy())
    if compat.is_cupy_array(x):
        return np.asarray(x.get())
    if compat.is_dask_array(x):
        return to_numpy(x.compute())  # type: ignore[no-untyped-call]
    values = np.asarray(x)
    return values.astype(np.float32) if values.dtype.name == "bfloat16" else values


def like(values: NumpyArray, reference: Array) -> Array:
    """`values` as an array of the library and on the device of `reference`, dtype kept."""
    if compat.is_numpy_array(reference):
        return values
    if compat.is_dask_array(reference):
        import dask.array

        return dask.array.from_array(values)  # type: ignore[no-untyped-call]
    if compat.is_torch_array(reference) and not values.flags.writeable:
        values = values.copy()  # torch has no read-only memory, and warns
    return namespace(reference).asarray(values, device=compat.device(reference))


def beside(array: Array, reference: Array) -> Array:
    """`array` in the library and on the device of `reference`, copied only where it is elsewhere."""
    if namespace(array) is namespace(reference) and device_of(array) == device_of(reference):
        return array
    return like(to_numpy(array), reference)


def row_slices(n: int, step: int) -> Iterator[slice]:
    """Cut `n` rows into slices of `step`, the last one shorter where it has to be."""
    return (slice(start, min(start + step, n)) for start in range(0, n, step))
