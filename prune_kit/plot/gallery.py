"""Galleries of images, class by class: those with the lowest and those with the highest scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import NumpyArray
from ..classes import encode_labels, members
from ..data import Examples
from ..errors import PruneKitError
from ..table import ScoreTable
from .series import class_names, class_title, series_of
from .style import EASY, HARD, INK, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_CLASSES = 10
_GAP = 0.06
"""Between images, as a share of their width."""


@style()
def gallery(
    table: ScoreTable,
    examples: Examples,
    /,
    *,
    column: str = "score",
    count: int = 5,
    classes: Sequence[int] | None = None,
    width: float = 6.5,
) -> Figure:
    """Show the images with the lowest and the highest scores of each class (Paul et al. 2021, Figure 5).

    Parameters
    ----------
    table
        Scores; higher is harder.
    examples
        The images that were scored, matched by id; there may be more of them.
    column
        The column to go by.
    count
        How many images on each side, of each class; fewer where a class has fewer than twice as many.
    classes
        Which classes, in this order; by default the first ten that occur.
    width
        Of the figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        One row per class: at the left the lowest scores, ascending, at the right the highest, the very
        highest last. Ties go by position, as in `keep_hardest`.

    Raises
    ------
    PruneKitError
        If the examples are no images, lack one that is to be shown, or have another label for it; if there
        is no such column or class, or labels are soft.
    MissingExtraError
        If matplotlib is not installed.
    """
    if not examples.is_images:
        raise PruneKitError(
            f"a gallery shows images; {examples.source} has features.",
            hint="`prunekit report` shows texts, tables and series too",
        )
    if count < 1:
        raise PruneKitError(f"`count` must be 1 or more; got {count}.")
    (series,) = series_of(table, [column])
    rows = chosen_rows(series.values, table.labels, count, classes)
    images = _images(table, examples, np.concatenate([np.concatenate(sides) for _, *sides in rows]))
    names = class_names(table) or list(examples.class_names or ())
    height = (width / 2) * len(rows) / count * _shape(images) + 0.3
    figure, axes = new_figure(width, height, 1, 2)
    start = 0
    blocks: list[list[NumpyArray]] = [[], []]
    for _, *sides in rows:
        for block, side in zip(blocks, sides, strict=True):
            block.append(images[start : start + len(side)])
            start += len(side)
    for axis, block, title, colour in zip(axes, blocks, ("lowest", "highest"), (EASY, HARD), strict=True):
        _draw(axis, block, count)
        axis.set_title(f"{title} {series.quantity}", color=colour)
    labels = [class_title(label, names) for label, *_ in rows]
    middles = [i * _cell(images, 0) + (images.shape[1] - 1) / 2 for i in range(len(rows))]
    axes[0].set_yticks(middles, labels, color=INK)
    return figure


def chosen_rows(
    scores: NumpyArray, labels: NumpyArray, count: int, classes: Sequence[int] | None = None
) -> list[tuple[int, NumpyArray, NumpyArray]]:
    """Of each class: its label, and the positions with the lowest and highest scores, each ascending.

    No example is on both sides: a class with fewer than 2 `count` examples is cut in the middle.

    Raises
    ------
    PruneKitError
        If labels are soft, or there is no example of a class.
    """
    if labels.ndim != 1:
        raise PruneKitError("a gallery by class needs one class per example; the labels are soft.")
    there, codes = encode_labels(labels)
    of = dict(zip(there.tolist(), members(codes), strict=True))
    wanted = list(of)[:_MOST_CLASSES] if classes is None else list(classes)
    if missing := [label for label in wanted if label not in of]:
        raise PruneKitError(
            f"there is no example of class {missing[0]}; the classes are {', '.join(map(str, of))[:200]}."
        )
    rows = []
    for label in wanted:
        order = of[label][np.argsort(scores[of[label]], kind="stable")]
        half = min(count, (len(order) + 1) // 2)
        rows.append((label, order[:half], order[max(half, len(order) - count) :]))
    return rows


def _images(table: ScoreTable, examples: Examples, rows: NumpyArray) -> NumpyArray:
    places = examples.positions_of(table.ids[rows])
    if not np.array_equal(examples.labels[places], table.labels[rows]):
        raise PruneKitError(
            f"{examples.source} has other labels than the scores for some of the same ids.",
            hint="give the data that were scored",
        )
    return examples.inputs[places]


def _shape(images: NumpyArray) -> float:
    """Height by width."""
    return float(images.shape[1] / images.shape[2])


def _cell(images: NumpyArray, dimension: int) -> int:
    """How many pixels an image and the gap after it take."""
    size = images.shape[1 + dimension]
    return int(size + max(1, round(_GAP * images.shape[2])))


def _draw(axis: Axes, block: Sequence[NumpyArray], count: int) -> None:
    """Put the images of each class in one row of a white canvas."""
    first = block[0]
    cells = (_cell(first, 0), _cell(first, 1))
    canvas = np.full((len(block) * cells[0], count * cells[1], first.shape[3]), 255, np.uint8)
    for i, images in enumerate(block):
        for j, image in enumerate(images):
            canvas[
                i * cells[0] : i * cells[0] + image.shape[0], j * cells[1] : j * cells[1] + image.shape[1]
            ] = image
    if canvas.shape[2] == 1:
        axis.imshow(canvas[..., 0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    else:
        axis.imshow(canvas[..., :4], interpolation="nearest")
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.tick_params(left=False)
