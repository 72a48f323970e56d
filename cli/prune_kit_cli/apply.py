"""`prunekit prune --apply`: write the pruned data set itself, and say what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prune_kit.data.pruned import write_pruned
from prune_kit.table import ScoreTable

from .output import warn

_MOST_NAMED = 10


def apply_subset(data: str, out: Path, kept: ScoreTable, link: bool) -> tuple[dict[str, Any], str]:
    """Write the `kept` examples of `data` to the folder `out`; what was written, as JSON and as a line."""
    written = write_pruned(data, out, kept, link=link)
    if written.vanished:
        named = ", ".join(written.vanished[:_MOST_NAMED])
        more = ", ..." if len(written.vanished) > _MOST_NAMED else ""
        warn(
            f"{out} has nothing of {len(written.vanished)} classes ({named}{more}): loaded from there, "
            "classes that sort after these have lower numbers than in the whole data."
        )
    result = {
        "data": data,
        "examples": written.examples,
        "files": written.files,
        "bytes": written.size,
        "linked": link,
        "vanished": written.vanished,
    }
    verb = "linked" if link else "wrote"
    files = f"{written.files:,} file{'' if written.files == 1 else 's'}"
    return result, f"{out}: {verb} {written.examples:,} examples of {data}, {files}, {_told(written.size)}"


def _told(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"
