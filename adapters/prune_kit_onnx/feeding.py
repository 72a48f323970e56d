"""From a batch of the data to what the model takes: by name, of the right type, shape and layout."""

from __future__ import annotations

import numpy as np

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError

from .layout import fits, laid_out
from .options import Layout
from .signature import TensorSpec
from .sources import Inputs
from .standardise import Standardise

Feeds = dict[str, NumpyArray]


class Feeding:
    """Makes what a model takes of batches.

    Parameters
    ----------
    specs
        The model's inputs.
    standardise
        What is done to the one input of floats first, if anything.
    layout
        As in `ModelOptions`.
    """

    def __init__(
        self, specs: list[TensorSpec], standardise: Standardise | None, layout: Layout | None
    ) -> None:
        self._specs = specs
        self._standardise = standardise
        self._layout = layout

    def __call__(self, inputs: Inputs) -> Feeds:
        """The model's inputs by name, each contiguous and of its type.

        What the data has beside them, such as token_type_ids for a model without, is left out.

        Raises
        ------
        PruneKitError
            If an input is missing, or has another type or shape than the model's.
        """
        given = self._by_name(inputs)
        return {spec.name: self._as_taken(given[spec.name], spec) for spec in self._specs}

    def _by_name(self, inputs: Inputs) -> Feeds:
        names = [spec.name for spec in self._specs]
        if isinstance(inputs, dict):
            if missing := [name for name in names if name not in inputs]:
                if len(names) == len(inputs) == 1:
                    return {names[0]: next(iter(inputs.values()))}
                raise PruneKitError(
                    f"the model takes {', '.join(names)}; the data has {', '.join(inputs) or 'no inputs'}, "
                    f"without {', '.join(missing)}.",
                    hint="give the inputs under the names that the model has for them",
                )
            return inputs
        several = inputs if isinstance(inputs, tuple) else (inputs,)
        if len(several) != len(names):
            raise PruneKitError(
                f"the model takes {len(names)} inputs ({', '.join(names)}); the data gives {len(several)}.",
                hint="give several inputs as a dict by name, or as a tuple in this order",
            )
        return dict(zip(names, several, strict=True))

    def _as_taken(self, array: NumpyArray, spec: TensorSpec) -> NumpyArray:
        is_images = array.dtype == np.uint8 and array.ndim == 4
        if is_images and self._standardise is None and spec.dtype.kind == "f":
            raise PruneKitError(
                f"the model takes {spec}; the data gives images of bytes, and how to make one of the "
                "other is not known.",
                hint="give scale, mean and std",
            )
        if self._standardise is not None:
            array = self._standardise(array)
        if is_images:
            array = laid_out(array, spec, self._layout)
        elif not fits(array.shape, spec):
            raise PruneKitError(
                f"the model takes {spec}; the data gives {array.dtype} of shape {array.shape}.",
                hint="the model and the data must be made for each other",
            )
        return np.ascontiguousarray(_cast(array, spec))


def _cast(array: NumpyArray, spec: TensorSpec) -> NumpyArray:
    """The array in the model's type, where that loses nothing but digits."""
    if array.dtype == spec.dtype:
        return array
    wanted, given = spec.dtype.kind, array.dtype.kind
    if wanted == "f" and given in "fiub":
        with np.errstate(over="ignore"):
            cast = array.astype(spec.dtype)
        if spec.dtype == np.float16 and np.isinf(cast).any() and np.isfinite(array).all():
            raise PruneKitError(
                f"the model takes {spec}; the data has values above 65504, the largest of float16.",
                hint="give scale, or mean and std, to bring them down",
            )
        return cast
    if wanted in "iu" and given in "iub":
        cast = array.astype(spec.dtype)
        if (cast == array).all():
            return cast
        low, high = array.min(), array.max()
        raise PruneKitError(f"the model takes {spec}; the data has numbers from {low} to {high}.")
    if wanted == "b" and given in "iu" and ((array == 0) | (array == 1)).all():
        return array.astype(np.bool_)
    raise PruneKitError(
        f"the model takes {spec}; the data gives {array.dtype}.",
        hint="floats are not made whole numbers: was the model exported for another kind of input?",
    )
