"""The kept images of a folder of class folders: copied byte for byte, or linked."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import StoreError
from .folder import image_ids, images_by_class

# Another file system, one without hard links, too many links to one file.
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP)


class ImageFolder:
    """A folder of class folders of images, of which a part is to be written.

    Parameters
    ----------
    folder
        The folder.
    link
        Whether to make hard links instead of copies.

    Attributes
    ----------
    ids : NumPy array of shape (n,)
        What names the images, in the order in which they are loaded.
    """

    def __init__(self, folder: Path, *, link: bool) -> None:
        self._link = link
        self._classes = images_by_class(folder)
        self._paths = [path for paths in self._classes.values() for path in paths]
        self.ids = np.array(image_ids(folder, self._paths))

    def write(self, is_kept: npt.NDArray[np.bool_], folder: Path) -> tuple[str, ...]:
        """Write the kept images to an empty folder, and return the classes that have none.

        Raises
        ------
        StoreError
            If hard links are asked for and impossible.
        OSError
            If a file cannot be read or written.
        """
        for row in np.flatnonzero(is_kept):
            target = folder / str(self.ids[row])
            target.parent.mkdir(parents=True, exist_ok=True)
            if self._link:
                _link(self._paths[row], target)
            else:
                shutil.copy2(self._paths[row], target)
        return tuple(name for name in self._classes if not (folder / name).exists())


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path.resolve(), target)  # of what a symbolic link points to, which may be relative
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise StoreError(
            f"{path} cannot have a hard link in {target.parent}: {error.strerror}.",
            hint="give a folder on the same file system, or leave the links out to copy the images",
        ) from error
