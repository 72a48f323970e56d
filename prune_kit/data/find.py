"""What a source of examples names on disk, and in which order its files are read."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from ..errors import PruneKitError, StoreError
from .folder import SPLIT_NAMES

_KINDS = (
    "'digits', a .parquet, .npz or .npy file, a folder of Parquet files, or a folder of class folders "
    "of images"
)


class Found(NamedTuple):
    """What there is, and where."""

    kind: Literal["digits", "parquet", "npz", "npy", "images"]
    paths: tuple[Path, ...]
    """The files in the order of reading; for images the one folder; for digits none."""


def find_data(source: str | Path, /) -> Found:
    """Find what `source` names: see `load_examples`.

    Raises
    ------
    StoreError
        If there is nothing of that name, it is not a kind of data that can be read, or it holds several
        splits.
    """
    name = str(source)
    if name == "digits" or name.startswith("digits:"):
        return Found("digits", ())
    path = Path(source)
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if is_part_name(file.name))
        if not files:
            return Found("images", (path,))
        _refuse_splits(files, path)
    elif path.exists():
        files = [path]
    else:
        files = sorted(Path(file) for file in glob.glob(name))  # noqa: PTH207 - may be absolute
        if not files:
            raise StoreError(f"there is no file or folder {name}.", hint=f"give {_KINDS}")
    suffixes = {file.suffix.lower() for file in files}
    if suffixes == {".parquet"}:
        return Found("parquet", tuple(files))
    if suffixes == {".npz"} and len(files) == 1:
        return Found("npz", tuple(files))
    if suffixes == {".npy"} and len(files) == 1:
        return Found("npy", tuple(files))
    raise StoreError(f"{name} is not a kind of data that can be read.", hint=f"give {_KINDS}")


_APPLICABLE: dict[str, tuple[str, ...]] = {
    "parquet": ("input_column", "label_column"),
    "npz": ("input_column", "label_column"),
    "npy": ("labels",),
}


def check_options(found: Found, name: str, options: Mapping[str, object]) -> None:
    """Raise PruneKitError if an option is given that does not apply to data of this kind."""
    for option, value in options.items():
        if value is not None and option not in _APPLICABLE.get(found.kind, ()):
            raise PruneKitError(
                f"`{option}` does not apply to {name}; got {str(value)!r}.", hint="leave it out"
            )


def is_part_name(name: str) -> bool:
    """Whether a file of this name belongs to the data where a folder of Parquet files is read."""
    return name.endswith(".parquet") and not name.startswith((".", "_"))


def _refuse_splits(files: list[Path], folder: Path) -> None:
    """Refuse a folder that holds training and test data: nobody wants both as one data set."""
    splits = {name for file in files if (name := file.stem.split("-")[0].lower()) in SPLIT_NAMES}
    if len(splits) > 1:
        raise StoreError(
            f"{folder} holds several splits: {', '.join(sorted(splits))}.",
            hint=f"give one file, or a pattern such as '{folder}/train*.parquet'",
        )
