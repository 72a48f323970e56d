"""The one file that knows array namespaces (array-api-compat)."""

from __future__ import annotations

from typing import Any, TypeAlias

import array_api_compat as compat
import numpy as np
import numpy.typing as npt

from .errors import PruneKitError

Array: TypeAlias = Any
"""An array of any supported library: NumPy, PyTorch, JAX, CuPy, Dask, array-api-strict."""

NumpyArray: TypeAlias = npt.NDArray[Any]


def as_array(x: object, name: str) -> Array:
    """`x` itself if it is an array of a supported library, else as NumPy.

    Torch tensors are detached. Sequences, and anything with `__array__` or `__dlpack__`, become NumPy.
    """
    if compat.is_torch_array(x):
        return x.detach()  # type: ignore[attr-defined]
    if compat.is_array_api_obj(x):
        return x
    try:
        if not hasattr(x, "__array__") and hasattr(x, "__dlpack__"):
            return np.from_dlpack(x)  # type: ignore[arg-type]
        return np.asarray(x)
    except (ValueError, TypeError, BufferError, RuntimeError) as error:
        raise PruneKitError(
            f"`{name}` must be an array (NumPy, PyTorch, JAX, CuPy, Dask) or convertible to one; "
            f"got {type(x).__name__}: {error}"
        ) from error


def namespace(*arrays: Array) -> Any:
    """The array API namespace that `arrays` share."""
    try:
        return compat.array_namespace(*arrays)
    except TypeError as error:
        kinds = ", ".join(sorted({f"{type(a).__module__}.{type(a).__name__}" for a in arrays}))
        raise PruneKitError(
            f"arrays must all come from one library; got {kinds}.",
            hint="convert them first, for example with numpy.asarray",
        ) from error


def to_numpy(x: Array) -> NumpyArray:
    """`x` as a NumPy array, copied from its device where it has to be (bfloat16 becomes float32)."""
    x = as_array(x, "array")
    if compat.is_numpy_array(x):
        return np.asarray(x)
    if compat.is_torch_array(x):
        if str(x.dtype) == "torch.bfloat16":
            x = x.float()
        return np.asarray(x.cpu().numpy())
    if compat.is_cupy_array(x):
        return np.asarray(x.get())
    if compat.is_dask_array(x):
        return np.asarray(x.compute())
    return np.asarray(x)


def like(values: NumpyArray, reference: Array) -> Array:
    """`values` as an array of the library and on the device of `reference`, dtype kept."""
    if compat.is_numpy_array(reference):
        return values
    if compat.is_dask_array(reference):
        import dask.array

        return dask.array.from_array(values)
    return namespace(reference).asarray(values, device=compat.device(reference))
