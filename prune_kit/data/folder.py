"""A folder of class folders of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import StoreError
from ..ids import some
from .examples import Examples
from .images import decode_images, stack_images

_SUFFIXES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))
SPLIT_NAMES = frozenset(("train", "training", "test", "testing", "val", "valid", "validation", "dev"))


def load_image_folder(folder: Path, *, image_size: int | None) -> Examples:
    """Load the images of `images_by_class`; ids are their relative paths.

    Raises
    ------
    StoreError
        As `images_by_class`, or if an image cannot be read.
    """
    files = images_by_class(folder)
    paths = [path for group in files.values() for path in group]
    names = [str(path) for path in paths]
    return Examples(
        inputs=stack_images(decode_images(paths, names, image_size), names, str(folder)),
        labels=np.repeat(np.arange(len(files)), [len(group) for group in files.values()]).astype(np.int64),
        ids=np.array(image_ids(folder, paths)),
        class_names=tuple(files),
        source=str(folder),
    )


def images_by_class(folder: Path) -> dict[str, list[Path]]:
    """Find `folder/CLASS/**/image`: classes in the order of their sorted names, and so the images of each.

    Files that are no images by their suffix, and whatever begins with a dot, are passed over.

    Raises
    ------
    StoreError
        If there are no class folders, one has no images, or they are splits (train, test).
    """
    classes = sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if not classes:
        raise StoreError(
            f"{folder} has neither Parquet files nor class folders of images.",
            hint="a folder of images has one folder per class in it: cats/1.png, dogs/1.png",
        )
    if SPLIT_NAMES.issuperset(name.lower() for name in classes):
        raise StoreError(
            f"{folder} holds splits ({', '.join(classes)}), not classes.", hint=f"give {folder / classes[0]}"
        )
    files = {name: _images(folder / name) for name in classes}
    if empty := [name for name, paths in files.items() if not paths]:
        raise StoreError(
            f"{folder} has class folders without images: {some(empty)}.",
            hint=f"images end in {', '.join(sorted(_SUFFIXES))}; remove folders that are no class",
        )
    return files


def image_ids(folder: Path, paths: Sequence[Path]) -> list[str]:
    """What names the images: their paths relative to the folder, with slashes on every system."""
    return [path.relative_to(folder).as_posix() for path in paths]


def _images(folder: Path) -> list[Path]:
    """Return the images under a class folder, sorted by relative path the same way on every system."""
    found = (
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())
