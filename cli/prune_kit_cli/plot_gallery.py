"""`prunekit plot gallery`: the images with the lowest and the highest scores of each class."""

from __future__ import annotations

from pathlib import Path

import click

from prune_kit.data import load_examples
from prune_kit.plot import gallery as draw
from prune_kit.table import ScoreTable

from .parameters import Epochs
from .plot_options import figure_options, write


@click.command()
@click.argument("scores", metavar="SCORES", type=click.Path(path_type=Path))
@click.option("--data", default="digits", show_default=True, help="The images that were scored.")
@click.option(
    "--column", default="score", show_default=True, metavar="NAME", help="The column of SCORES to go by."
)
@click.option(
    "--count",
    type=click.IntRange(1, 50),
    default=5,
    show_default=True,
    help="How many images on each side, of each class.",
)
@click.option(
    "--classes",
    type=Epochs(),
    default=None,
    help="Which classes, by number (0,3,5 or 0-4). [default: the first ten]",
)
@click.option(
    "--image-size", type=click.IntRange(min=1), default=None, help="Resize images to so many pixels."
)
@click.option("--label-column", default=None, metavar="NAME", help="The column of DATA that has the labels.")
@figure_options(6.5)
def gallery(
    scores: Path,
    data: str,
    column: str,
    count: int,
    classes: list[int] | None,
    image_size: int | None,
    label_column: str | None,
    out: Path,
    width: float,
    as_json: bool,
) -> None:
    """Show the images with the lowest and the highest SCORES of each class, as the paper's Figure 5.

    Each class has a row: at the left the lowest scores, at the right the highest, the very highest last.
    """
    table = ScoreTable.read(scores, columns=(column,))
    examples = load_examples(data, image_size=image_size, label_column=label_column)
    figure = draw(table, examples, column=column, count=count, classes=classes, width=width)
    write(figure, out, "gallery of images", as_json)
