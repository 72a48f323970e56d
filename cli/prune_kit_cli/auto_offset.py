"""`prunekit prune --offset auto`: leaves out as many of the hardest as labels are wrong."""

from __future__ import annotations

from pathlib import Path

from prune_kit.checks import subset_size
from prune_kit.errors import PruneKitError
from prune_kit.table import ScoreTable


def auto_offset(flags: Path, n: int, keep: float) -> tuple[int, str]:
    """The offset whose window ends below the hardest, where wrong labels are; and a line that explains it.

    Parameters
    ----------
    flags
        A file of `prunekit flag`, whose estimated rate of wrong labels is taken.
    n, keep
        How many examples there are, and how many or which fraction of them is kept.

    Raises
    ------
    PruneKitError
        If the file has no estimate, or fewer examples are left than are to be kept.
    """
    table = ScoreTable.read(flags, columns=())
    if "wrong" not in table.provenance:
        raise PruneKitError(
            f"{flags} has no estimate of the number of wrong labels.",
            hint="`prunekit flag RUN` estimates it, from class probabilities; with --highest it does not",
        )
    rate = table.provenance["wrong"] / len(table)
    wrong = round(rate * n)
    size = subset_size(n, None, keep) if isinstance(keep, int) else subset_size(n, keep, None)
    if wrong + size > n:
        raise PruneKitError(
            f"{size:,} of {n:,} examples are to be kept, and the hardest {wrong:,} left out as wrong.",
            hint=f"keep {n - wrong:,} or fewer",
        )
    offset = n - wrong - size
    return offset, (
        f"offset {offset:,}: {rate:.1%} of the labels are wrong by {flags}, so that the hardest {wrong:,} "
        "are left out"
    )
