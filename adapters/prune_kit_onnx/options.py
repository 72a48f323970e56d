"""How a model is run and read, where that cannot be told from the model and the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Literal, TypedDict

import numpy as np

from prune_kit.checks import is_whole_number
from prune_kit.errors import PruneKitError

Layout = Literal["NCHW", "NHWC"]
LAYOUTS: tuple[Layout, ...] = ("NCHW", "NHWC")


class Options(TypedDict, total=False):
    """The options that the verbs take by keyword; see `ModelOptions`."""

    logits: str | None
    from_logits: bool | None
    scale: float | None
    mean: Sequence[float] | float | None
    std: Sequence[float] | float | None
    layout: Layout | None
    threads: int | None


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """How a model is run and read.

    Attributes
    ----------
    logits : str, optional
        The output that holds the logits; by default the only one, one called so, or the only one of shape
        (batch, classes).
    from_logits : bool, optional
        False where that output holds probabilities. By default found out: from the graph, which then ends
        in Softmax, or from the numbers of the first batch.
    scale : float, optional
        What images (or features) are multiplied by first, such as 1/255.
    mean, std : float or sequence of float, optional
        What is then subtracted, and divided by: one number, or one per channel (of features: per feature).
        Where none of the three is given, images of bytes go into a model of floats with mean 0 and standard
        deviation 1 per channel of this data, as in the other adapters; all else goes in as it is.
    layout : {"NCHW", "NHWC"}, optional
        Where the model has the channels of images; by default found from the shape of its input, and NCHW
        where that says nothing.
    threads : int, optional
        How many threads an operation may use; by default one per core.

    Raises
    ------
    PruneKitError
        If one of these is not of its kind.
    """

    logits: str | None = None
    from_logits: bool | None = None
    scale: float | None = None
    mean: Sequence[float] | float | None = None
    std: Sequence[float] | float | None = None
    layout: Layout | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.layout is not None and self.layout not in LAYOUTS:
            raise PruneKitError(f"`layout` must be NCHW or NHWC; got {self.layout!r}.")
        if self.threads is not None and not is_whole_number(self.threads, at_least=1):
            raise PruneKitError(f"`threads` must be a whole number of 1 or more; got {self.threads!r}.")
        for name in ("scale", "mean", "std"):
            value = getattr(self, name)
            numbers = np.atleast_1d(np.asarray([] if value is None else value))
            if (
                numbers.ndim != 1
                or (value is not None and not numbers.size)
                or numbers.dtype.kind not in "iuf"
            ):
                raise PruneKitError(f"`{name}` must be a number, or one per channel; got {value!r}.")
            if not np.isfinite(numbers).all() or (name != "mean" and (numbers <= 0).any()):
                raise PruneKitError(
                    f"`{name}` must be finite{'' if name == 'mean' else ' and above 0'}; got {value!r}."
                )
        if self.scale is not None and not isinstance(self.scale, Real):
            raise PruneKitError(f"`scale` must be one number; got {self.scale!r}.")

    @property
    def says_how_to_standardise(self) -> bool:
        """Whether `scale`, `mean` or `std` is given."""
        return not self.scale is self.mean is self.std is None
