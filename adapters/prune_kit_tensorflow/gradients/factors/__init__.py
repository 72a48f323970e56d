"""The forms that per-example gradients arise in, each with the fastest exact formulas for its norm."""

from .base import Factor, in_blocks, squares, taken, wide
from .merge import merge, transposed
from .outer import Outer
from .table import TableRows
from .written import Written

__all__ = [
    "Factor",
    "Outer",
    "TableRows",
    "Written",
    "in_blocks",
    "merge",
    "squares",
    "taken",
    "transposed",
    "wide",
]
