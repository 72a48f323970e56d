"""What an example looks like on a page: an image, text, a row of numbers, a line; or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..arrays import NumpyArray
from ..data.reader import Inputs
from .thumbnails import as_image, shrunk

MOST_TEXT = 2_000
MOST_VALUES = 200
ROW_UP_TO = 16
"""Values without names that are shown as a row; longer vectors are drawn as a line."""


@dataclass(frozen=True)
class Look:
    """One example as it is shown."""

    kind: Literal["image", "text", "row", "lines", "missing", "unreadable"]
    image: NumpyArray | None = None
    """uint8, (height, width, 1 or 3), a thumbnail."""
    text: str = ""
    """The text; or, of what cannot be shown, why not."""
    row: Sequence[tuple[str, str]] = ()
    """Names and values."""
    lines: Sequence[Sequence[float]] = ()
    """Series over the same steps."""


def missing(why: str, /) -> Look:
    """An example that the data does not have."""
    return Look("missing", text=why)


def unreadable(why: str, /) -> Look:
    """An example that is there and cannot be read."""
    return Look("unreadable", text=why)


def of_text(columns: Sequence[tuple[str, str | None]], /) -> Look:
    """Texts by name, as one text where there is one; long ones are cut, and say so."""
    there = [(name, text) for name, text in columns if text is not None]
    if not there:
        return missing("the text is empty (null)")
    text = there[0][1] if len(columns) == 1 else "\n".join(f"{name}: {text}" for name, text in there)
    if len(text) > MOST_TEXT:
        text = f"{text[:MOST_TEXT]}… ({len(text):,} characters)"
    return Look("text", text=text)


def of_inputs(inputs: Inputs, row: int, names: Sequence[str] | None, /) -> Look:
    """One row of decoded inputs, as `ExampleStream.batches` gives them.

    Images are those of uint8, and numbers of shape (height, width, 1 or 3). Numbers with `names`, and up to
    `ROW_UP_TO` without, are a row; a longer vector, and (steps, series), are lines.
    """
    if isinstance(inputs, dict):
        return Look("row", row=[(name, _listed(array[row])) for name, array in inputs.items()])
    value = inputs[row]
    if value.ndim == 3 and value.shape[2] in (1, 3):
        return Look("image", image=shrunk(value if value.dtype == np.uint8 else as_image(value)))
    if value.ndim == 2 and value.shape[0] > 1:
        return Look("lines", lines=[_thinned(value[:, i]) for i in range(min(value.shape[1], 5))])
    flat = value.reshape(-1)
    if names is not None:
        pairs = [(name, f"{number:.4g}") for name, number in zip(names, flat.tolist(), strict=False)]
        return Look("row", row=pairs[:MOST_VALUES])
    if flat.size <= ROW_UP_TO:
        return Look("row", row=[(str(i), f"{number:.4g}") for i, number in enumerate(flat.tolist())])
    return Look("lines", lines=[_thinned(flat)])


def _thinned(series: NumpyArray) -> list[float]:
    """Up to `MOST_VALUES` values, evenly spread."""
    places = np.linspace(0, len(series) - 1, min(len(series), MOST_VALUES)).round().astype(int)
    return [float(f"{value:.4g}") for value in series[places].tolist()]


def _listed(values: NumpyArray) -> str:
    shown = values.reshape(-1)[:MOST_VALUES].tolist()
    more = ", …" if values.size > MOST_VALUES else ""
    return ", ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in shown) + more
