"""One door to examples on disk: what is there decides how it is read."""

from __future__ import annotations

from pathlib import Path

from ..errors import PruneKitError
from .array_files import load_npy, load_npz
from .digits import load_digits
from .examples import Examples
from .find import find_data
from .folder import load_image_folder
from .images import check_image_size


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
    columns = {"input_column": input_column, "label_column": label_column}
    options = {**columns, "labels": labels}
    kind, paths = find_data(source)
    if kind == "digits":
        _refuse(options, name)
        examples = _digits(name)
        return examples if image_size is None else examples.resized(image_size)
    if kind == "images":
        _refuse(options, name)
        return load_image_folder(paths[0], image_size=image_size)
    if kind == "npy":
        _refuse(columns, name)
        return load_npy(paths[0], None if labels is None else Path(labels), image_size=image_size)
    _refuse({"labels": labels}, name)
    if kind == "npz":
        return load_npz(paths[0], image_size=image_size, **columns)
    from .parquet import load_parquet  # loads pyarrow

    return load_parquet(paths, name, image_size=image_size, **columns)


def _digits(name: str) -> Examples:
    if name == "digits":
        return load_digits("train")
    match name.removeprefix("digits:"):
        case "train" | "test" | "all" as part:
            return load_digits(part)
    raise PruneKitError(
        f"the digits have the parts train, test and all; got {name!r}.", hint="give 'digits:test'"
    )


def _refuse(options: dict[str, str | Path | None] | dict[str, str | None], name: str) -> None:
    for option, value in options.items():
        if value is not None:
            raise PruneKitError(
                f"`{option}` does not apply to {name}; got {str(value)!r}.", hint="leave it out"
            )
