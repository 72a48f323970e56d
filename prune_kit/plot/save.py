"""Figures as files: whole or not at all, and of the same figure the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..atomic import atomic_path
from ..errors import PruneKitError
from .style import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The time of writing would make every file another one.
_METADATA: dict[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def save_figure(figure: Figure, path: str | Path, /, *, dpi: int = 200) -> Path:
    """Write a figure to a file of the kind that its suffix says; what was there before stays until then.

    Parameters
    ----------
    figure
        What the functions of `prune_kit.plot` give.
    path
        `.png`, `.svg` or `.pdf`.
    dpi
        Pixels per inch of a .png, and of images in the others.

    Raises
    ------
    PruneKitError
        If the suffix is another one.
    StoreError
        If the file cannot be written.
    """
    kind = figure_kind(path)
    with style(), atomic_path(path) as aside:
        figure.savefig(aside, format=kind, dpi=dpi, metadata=_METADATA[kind])
    return Path(path)


def figure_kind(path: str | Path, /) -> str:
    """The kind of figure that the suffix of `path` says: "png", "svg" or "pdf".

    Raises
    ------
    PruneKitError
        If it says no such.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in _METADATA:
        raise PruneKitError(
            f"a figure must end in {', '.join(f'.{each}' for each in _METADATA)}; got {Path(path).name!r}.",
            hint="the suffix says how the figure is written",
        )
    return kind
