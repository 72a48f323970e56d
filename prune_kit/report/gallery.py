"""Which examples a page holds, and in which galleries they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import NumpyArray
from ..classes import Positions, members
from .look import Look
from .reported import Reported
from .suspects import Suspects
from .thumbnails import data_uris

SHOWN = 20
"""Examples in a gallery."""

SPREAD = 400
"""Examples evenly spread over the ranks, from which those around the threshold are shown."""

_OF_CLASSES = 640
_MOST_PER_CLASS = 8
_MOST_ID = 200


@dataclass(frozen=True)
class Galleries:
    """Positions of examples, best first; `rows` are all of them, each once."""

    easiest: Positions
    hardest: Positions
    flagged: Positions
    by_class: list[tuple[int, Positions, Positions]]
    """Index of the class, its easiest and its hardest; the largest classes where there are too many."""
    spread: Positions

    @property
    def rows(self) -> Positions:
        """Every example that the page holds."""
        of_classes = [each for _, easiest, hardest in self.by_class for each in (easiest, hardest)]
        return np.unique(np.concatenate([self.easiest, self.hardest, self.flagged, self.spread, *of_classes]))


def choose(reported: Reported, suspects: Suspects | None, /) -> Galleries:
    """Choose the examples to show."""
    order = reported.order
    spread = np.unique(np.linspace(0, len(order) - 1, min(SPREAD, len(order))).round().astype(np.int64))
    classes = members(reported.codes)
    each = min(_MOST_PER_CLASS, max(1, _OF_CLASSES // (2 * len(classes))))
    largest = sorted(range(len(classes)), key=lambda code: -len(classes[code]))[: _OF_CLASSES // 2]
    by_class = []
    for code in sorted(largest) if len(classes) > 1 else ():
        ranked = classes[code][np.argsort(reported.places[classes[code]])]
        by_class.append((code, ranked[:each], ranked[::-1][:each]))
    flagged = np.empty(0, np.int64) if suspects is None else suspects.rows[: 2 * SHOWN]
    return Galleries(order[:SHOWN], order[::-1][:SHOWN], flagged, by_class, order[spread])


def gallery_data(
    reported: Reported, galleries: Galleries, looks: Sequence[Look] | None, suspects: Suspects | None, /
) -> dict[str, Any]:
    """The examples of a page and its galleries as JSON values; without `looks`, of numbers alone."""
    rows = galleries.rows
    index = {row: k for k, row in enumerate(rows.tolist())}
    class_places = _places_in_class(reported)
    examples = [_example(reported, row, int(class_places[row]), suspects) for row in rows.tolist()]
    if looks is not None:
        shown = [look.image for look in looks if look.image is not None]
        uris = iter(data_uris(shown))
        for example, look in zip(examples, looks, strict=True):
            example["look"] = _look(look, next(uris) if look.image is not None else None)

    def listed(positions: Positions) -> list[int]:
        return [index[row] for row in positions.tolist()]

    return {
        "examples": examples,
        "easiest": listed(galleries.easiest),
        "hardest": listed(galleries.hardest),
        "flagged": listed(galleries.flagged),
        "spread": listed(galleries.spread),
        "byClass": [
            {"class": code, "easiest": listed(easiest), "hardest": listed(hardest)}
            for code, easiest, hardest in galleries.by_class
        ],
    }


def _places_in_class(reported: Reported) -> Positions:
    """Where each example stands in its own class, easiest first, from 0."""
    places = np.empty(len(reported), np.int64)
    for positions in members(reported.codes):
        places[positions[np.argsort(reported.places[positions])]] = np.arange(len(positions))
    return places


def _example(reported: Reported, row: int, class_place: int, suspects: Suspects | None) -> dict[str, Any]:
    table = reported.table
    example: dict[str, Any] = {
        "id": _cut(str(table.ids[row])),
        "class": int(reported.codes[row]),
        "place": int(reported.places[row]),
        "classPlace": class_place,
        "score": _number(reported.scores[row]),
        "others": {name: _number(scores[row]) for name, scores in reported.others.items()},
    }
    if "standard_error" in table:
        example["error"] = _number(table["standard_error"][row], digits=2)
    if "predicted" in table and reported.has_hard_labels:
        example["predicted"] = reported.name_of(int(table["predicted"][row]))
    if "p_label" in table:
        example["pLabel"] = _number(table["p_label"][row])
    if suspects is not None and (found := suspects.about(row)) is not None:
        example["suspect"] = found
    return example


def _look(look: Look, uri: str | None) -> dict[str, Any]:
    if look.image is not None:
        height, width = look.image.shape[:2]
        return {"kind": "image", "src": uri, "width": width, "height": height}
    return {"kind": look.kind} | {
        name: value for name in ("text", "row", "lines") if (value := getattr(look, name))
    }


def _number(value: NumpyArray | float, digits: int = 4) -> str | None:
    """A number as people read it; None for none."""
    number = float(value)
    return None if np.isnan(number) else "infinite" if np.isinf(number) else f"{number:.{digits}g}"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_ID else f"{text[:_MOST_ID]}… ({len(text):,} characters)"
