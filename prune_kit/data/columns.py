"""Which column of a table, or key of an .npz file, is what: by option, or by the usual names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import PruneKitError

LABEL_NAMES = ("label", "labels", "target", "targets", "y", "class", "fine_label")
IMAGE_NAMES = ("image", "images", "img")
FEATURE_NAMES = (
    "features",
    "x",
    "inputs",
    "data",
    "embedding",
    "embeddings",
    "pixel_values",
    "image",
    "images",
)
TEXT_NAMES = ("input_ids", "attention_mask", "token_type_ids")


def chosen_or_usual(
    chosen: str | None, usual: Sequence[str], there: Sequence[str], *, what: str, option: str, source: str
) -> str:
    """Return the column that the user chose, else the first of the usual names that is there.

    Raises
    ------
    PruneKitError
        If it is not there; the columns that are there are listed.
    """
    if chosen is not None:
        if chosen not in there:
            raise PruneKitError(
                f"{source} has no column {chosen!r}; it has {listed(there)}.", hint=f"check {option}"
            )
        return chosen
    for name in usual:
        if name in there:
            return name
    raise PruneKitError(
        f"{source} has no column of {what} under a usual name ({', '.join(usual)}); it has {listed(there)}.",
        hint=f"name it with {option}",
    )


def label_name(
    chosen: str | None, usual: Sequence[str], there: Sequence[str], *, needed: bool, source: str
) -> str | None:
    """Return the column of labels as `chosen_or_usual` does; None if there is none and none is needed."""
    if not needed and chosen is None and not set(usual) & set(there):
        return None
    return chosen_or_usual(chosen, usual, there, what="labels", option="label_column", source=source)


def chosen_inputs(
    chosen: str | Sequence[str] | None, there: Sequence[str], *, one_array: bool, source: str
) -> str | tuple[str, ...] | None:
    """Return the one column that the user chose, or several: those chosen, else those of tokenised text.

    None where nothing is chosen and there is no tokenised text, or `one_array` is wanted.

    Raises
    ------
    PruneKitError
        If a chosen one is not there, none is, or several are where one array is wanted.
    """
    if isinstance(chosen, str) or (chosen is None and one_array):
        return chosen
    if chosen is None:
        return tuple(name for name in TEXT_NAMES if name in there) if TEXT_NAMES[0] in there else None
    names = tuple(dict.fromkeys(chosen))
    if one_array or not names:
        raise PruneKitError(
            f"`input_column` must name {'one column' if one_array else 'a column, or several'}; "
            f"got {chosen!r}.",
            hint="several inputs are read by open_examples" if one_array else None,
        )
    for name in names:
        chosen_or_usual(name, (), there, what="inputs", option="input_column", source=source)
    return names


def only_or_usual(
    candidates: Sequence[str], usual: Sequence[str], *, what: str, option: str, source: str
) -> str | None:
    """Return the one candidate, or of several the first of the usual names; None if there is none.

    Raises
    ------
    PruneKitError
        If there are several, none of them under a usual name.
    """
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    for name in usual:
        if name in candidates:
            return name
    raise PruneKitError(
        f"{source} has several columns that can be the {what}: {listed(candidates)}.",
        hint=f"name one with {option}",
    )


def is_label_like(name: str) -> bool:
    """Whether a column, by its name, holds labels, and so must never be taken for a feature."""
    lower = name.lower()
    return lower in LABEL_NAMES or lower.endswith(("_label", "_labels", "_target"))


def is_index(name: str) -> bool:
    """Whether a column is the row index that pandas writes along, which is no feature."""
    return re.fullmatch(r"__index_level_\d+__", name) is not None


def listed(names: Sequence[str], most: int = 20) -> str:
    """Write out column names, at most 20 of them."""
    if not names:
        return "none"
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
