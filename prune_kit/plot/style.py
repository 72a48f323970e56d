"""How every figure looks: one style, colours that colour-blind readers tell apart, and no pyplot.

Figures are `matplotlib.figure.Figure` objects of their own: no backend is chosen, no window opens, and the
settings of the program around them are as they were afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError, PruneKitError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008), without the yellow, which is hardly seen on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
EASY, HARD = COLOURS[0], COLOURS[1]
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P")
"""Beside the colours, for those who do not see them."""
GREY = "#6b7280"
INK = "#1f2328"
GRID = "#e5e7eb"
ORDERED = "cividis"
"""The colour map of what has an order, such as epochs."""

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same everywhere
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,  # text in a PDF stays text, as publishers ask for
    "svg.hashsalt": "prune_kit",  # otherwise ids in the file are drawn at random
    "text.parse_math": False,  # class names may hold dollar signs
}


@contextmanager
def style() -> Iterator[None]:
    """The kit's settings inside the block, or in a function that this decorates; then those of before."""
    with matplotlib().rc_context(_STYLE):
        yield


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of `width` x `height` inches with its axes, row by row."""
    if not 1 <= width <= 40:
        raise PruneKitError(
            f"`width` must be from 1 to 40 inches; got {width!r}.", hint="a column of a paper is about 3.3"
        )
    matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(axes.flat)


def series_colours(count: int) -> list[Any]:
    """A colour for each of `count` series that have no order; those of many repeat."""
    return [COLOURS[i % len(COLOURS)] for i in range(count)]


def ordered_colours(count: int) -> list[Any]:
    """A colour for each of `count` series that have an order, dark to light, none too light to be seen."""
    colours = matplotlib().colormaps[ORDERED]
    return [colours(0.85 * i / max(1, count - 1)) for i in range(count)]


def matplotlib() -> ModuleType:
    """Matplotlib, imported now.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError(
            "figures need matplotlib, which is not installed.", hint='pip install "prune-kit[plot]"'
        ) from error
    return mpl
