"""A folder of class folders of images."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..arrays import NumpyArray
from ..errors import StoreError
from ..ids import some
from .images import CHUNK, FirstImage, decode_images, decoding_threads, stack_images
from .reader import Digest, InputSpec, Part

_SUFFIXES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))
_SAMPLES = 64
SPLIT_NAMES = frozenset(("train", "training", "test", "testing", "val", "valid", "validation", "dev"))


class FolderReader:
    """The images of `images_by_class`, by their relative paths; see `Reader`.

    Parameters
    ----------
    folder
        The folder of class folders.
    image_size
        Resize the short side of images to it, and cut out the centre.

    Raises
    ------
    StoreError
        As `images_by_class`, or if the first image cannot be read.
    """

    def __init__(self, folder: Path, *, image_size: int | None) -> None:
        files = images_by_class(folder)
        counts = [len(group) for group in files.values()]
        self._paths = [path for group in files.values() for path in group]
        self._image_size = image_size
        self.source = str(folder)
        self.labels: npt.NDArray[np.int64] | None = np.repeat(np.arange(len(files)), counts).astype(np.int64)
        self.ids: NumpyArray | None = np.array(image_ids(folder, self._paths))
        self.class_names: tuple[str, ...] | None = tuple(files)
        self.block_rows = 1
        self.chunk_rows: int | None = CHUNK
        self.workers = decoding_threads(self._paths)
        name = str(self._paths[0])
        (image,) = decode_images(self._paths[:1], [name], image_size)
        self._first = FirstImage(image.shape[0], image.shape[1], name)

    def __len__(self) -> int:
        return len(self._paths)

    def spec(self) -> InputSpec:
        """See `Reader.spec`; images are RGB if one of those looked at is."""
        return self._first.spec(self.decode(Part(row, range(row, row + 1))) for row in self._samples())

    def parts(self, rows: int, /) -> Generator[Part]:
        """See `Reader.parts`; the files are read when they are decoded."""
        for start in range(0, len(self), rows):
            yield Part(start, range(start, min(start + rows, len(self))))

    def decode(self, part: Part, /) -> NumpyArray:
        """See `Reader.decode`."""
        paths = [self._paths[row] for row in part.rows]
        names = [str(path) for path in paths]
        return stack_images(decode_images(paths, names, self._image_size), names, self.source, self._first)

    def feed(self, digest: Digest, /) -> None:
        """See `Reader.feed`: the sizes of all files, and the contents of some."""
        sizes = [path.stat().st_size for path in self._paths]
        digest.update(f"images {sizes} {self._image_size}".encode())
        for row in self._samples():
            digest.update(self._paths[row].read_bytes())

    def _samples(self) -> list[int]:
        samples: list[int] = np.unique(np.linspace(0, len(self) - 1, _SAMPLES).astype(int)).tolist()
        return samples


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
