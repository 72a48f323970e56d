"""Directories of results: made or gone on with by one writer at a time, and never those of somebody else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import StoreError
from .lock import exclusive_lock

FORMAT = 1
"""Of every record that this version writes and reads."""


@contextmanager
def owned_directory(path: Path, /, *, record: str, kind: str, wait: float = 0.0) -> Iterator[None]:
    """Hold a directory, made where it is not there, inside the ``with`` block.

    Parameters
    ----------
    path
        The directory.
    record
        The file in it that says what it is, such as ``run.json``. One without it must be empty.
    kind
        What it is to be, in words.
    wait
        Seconds to wait for another process that is writing to it.

    Raises
    ------
    RunConflictError
        If another process is writing to it all that time.
    StoreError
        If it holds something else, or cannot be made.
    """
    is_new = not (path / record).exists()
    if is_new and path.exists() and (not path.is_dir() or any(_foreign(path))):
        raise StoreError(
            f"{path} exists and is not {kind}; nothing in it was touched.",
            hint="give another directory, or an empty one",
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the directory {path} cannot be made: {error.strerror}.") from error
    with exclusive_lock(path / ".lock", wait=wait):
        for left_by_a_killed_writer in path.rglob(".tmp-*"):
            left_by_a_killed_writer.unlink()
        yield


def _foreign(path: Path) -> Iterator[Path]:
    """What is in a directory apart from what an interrupted start leaves there."""
    return (each for each in path.iterdir() if not each.name.startswith("."))


def read_record(
    path: Path, /, *, record: str, kind: str, fields: Mapping[str, type], made_by: str
) -> dict[str, Any]:
    """Read the file in a directory that says what it is.

    Parameters
    ----------
    path, record, kind
        As for `owned_directory`.
    fields
        What must be in it, and of which type.
    made_by
        The command that makes such a directory.

    Raises
    ------
    StoreError
        If it is not there, damaged, or of a newer format.
    """
    file = path / record
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreError(f"{path} is not {kind}: it has no {record}.", hint=f"{made_by} makes one") from error
    except (ValueError, OSError) as error:
        raise StoreError(f"{file} cannot be read: {error}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise StoreError(f"{file} must have format {FORMAT}; got {found!r}.", hint="upgrade prune-kit")
    if missing := fields.keys() - content.keys():
        raise StoreError(f"{file} lacks {', '.join(sorted(missing))}; it is damaged.")
    if wrong := [name for name, of_type in fields.items() if not isinstance(content[name], of_type)]:
        raise damaged(file, wrong)
    return content


def damaged(file: Path, names: Iterable[str]) -> StoreError:
    """The error where these entries of a record have values that they cannot have."""
    return StoreError(f"{file}: {', '.join(names)} are not what they should be; it is damaged.")
