"""What the classes of a file are called, where the run that it comes from says it."""

from __future__ import annotations

from collections.abc import Sequence

from prune_kit.table import ScoreTable


def class_names(table: ScoreTable) -> list[str]:
    """The names by class index; none where they are not known."""
    made = table.provenance
    # A file of kept examples has the provenance of the scores inside its own.
    names: list[str] = (made.get("of") or made).get("config", {}).get("class_names") or []
    return names


def class_name(label: int | str, names: Sequence[str]) -> str:
    """The name of a class, or its number."""
    return names[label] if isinstance(label, int) and 0 <= label < len(names) else str(label)
