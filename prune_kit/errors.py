"""The one exception family: every message says what was expected, what came, and a hint."""

from __future__ import annotations

import traceback
from pathlib import Path


class PruneKitError(ValueError):
    """Something given to the kit cannot be used.

    Parameters
    ----------
    message
        What was expected and what came, as one sentence or two.
    hint
        What to do about it; shown after the message.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(f"{message} Hint: {hint}" if hint else message)


class StoreError(PruneKitError):
    """A file or run directory is damaged, is not what it claims to be, or cannot be written."""


class IncompleteEpochError(StoreError):
    """A part of a run lacks examples, which were not presented in that epoch."""


class RunConflictError(StoreError):
    """A command disagrees with the run directory it names, or another command is using it."""


class MissingExtraError(PruneKitError, ImportError):
    """An optional package is not installed; the message gives the line that installs it."""


def told(error: BaseException) -> str:
    """What an exception out of the user's own code says, and where it was raised, for one line."""
    said = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".:")
    if isinstance(error, SyntaxError):  # its place is in its text
        return said
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<")
        and not any(
            part == "site-packages" or part.startswith("prune_kit") for part in Path(frame.filename).parts
        )
    ]
    return f"{said} ({frames[-1].filename}, line {frames[-1].lineno})" if frames else said
