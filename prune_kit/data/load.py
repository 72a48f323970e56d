"""One door to examples on disk, loaded into memory: what is there decides how it is read."""

from __future__ import annotations

from pathlib import Path

from .array_files import load_npy, load_npz
from .digits import digits
from .examples import Examples
from .find import check_options, find_data
from .folder import FolderReader
from .images import check_image_size
from .read_all import read_all


def load_examples(
    source: str | Path,
    /,
    *,
    image_size: int | None = None,
    input_column: str | None = None,
    label_column: str | None = None,
    labels: str | Path | None = None,
) -> Examples:
    """Load a labelled data set into arrays.

    Parameters
    ----------
    source
        One of:

        - ``digits``, ``digits:test``, ``digits:all``: scikit-learn's handwritten digits, 1,347 to train,
          450 to test, or all; ids are positions in `sklearn.datasets.load_digits()`;
        - a Parquet file, a folder of them, or a pattern (``data/train-*.parquet``), read in the order of
          their names: images in the Hugging Face layout or as plain bytes, else one column of lists of
          numbers, else all columns of numbers but those named like labels. Class names are taken from
          the Hugging Face metadata. A column ``id`` gives the ids, else they are positions;
        - an .npz file with inputs and labels under usual keys (``x`` and ``y``, ``images`` and ``labels``,
          ``x_train`` and ``y_train`` ...), and perhaps ``ids``;
        - an .npy file with `labels`: uint8 and float32 stay memory-mapped, other types are converted in
          memory;
        - a folder of class folders of images; ids are paths relative to it.
    image_size
        Resize the short side of images to this many pixels, and cut out the centre.
    input_column, label_column
        The column (Parquet) or key (.npz) of inputs and labels, where the usual names do not tell.
    labels
        For an .npy file: the .npy file of its labels.

    Returns
    -------
    examples
        Images as uint8, shape (n, height, width, channels); features as float32. Labels are class
        indices; where they are strings, indices into the sorted class names.

    Raises
    ------
    StoreError
        If the source is not there, is not what its name claims, is damaged or is empty.
    PruneKitError
        If columns are missing or cannot be told, ids are doubled, labels or inputs have gaps, images
        differ in size, or an option does not fit the source.
    MissingExtraError
        If scikit-learn or Pillow is needed and not installed.

    Examples
    --------
    >>> load_examples("digits")
    Examples(1347 images of 8 x 8 x 1 in 10 classes from digits)
    """
    check_image_size(image_size)
    name = str(source)
    options = {"input_column": input_column, "label_column": label_column, "labels": labels}
    found = find_data(source)
    check_options(found, name, options)
    path = found.paths[0] if found.paths else Path()
    match found.kind:
        case "digits":
            examples = digits(name)
            return examples if image_size is None else examples.resized(image_size)
        case "npy":
            return load_npy(path, None if labels is None else Path(labels), image_size=image_size)
        case "npz":
            return load_npz(path, image_size=image_size, input_column=input_column, label_column=label_column)
        case "images":
            return read_all(FolderReader(path, image_size=image_size))
    from .parquet import ParquetReader  # loads pyarrow

    reader = ParquetReader(
        found.paths, name, image_size=image_size, input_column=input_column, label_column=label_column
    )
    return read_all(reader)
