"""Forms of a per-example gradient, each with the fastest exact formula for its norm."""

from .base import Factor, squares, wide
from .convolution import Convolution
from .dense import Dense
from .merge import merge, transpose
from .outer import Outer
from .rows import Rows

__all__ = ["Convolution", "Dense", "Factor", "Outer", "Rows", "merge", "squares", "transpose", "wide"]
