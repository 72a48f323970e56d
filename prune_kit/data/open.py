"""One door to examples on disk, read a batch at a time: what is there decides how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .array_reader import ArrayReader
from .array_streams import open_npy, open_npz
from .digits import digits
from .find import check_options, find_data
from .folder import FolderReader
from .images import check_image_size
from .reader import Reader
from .stream import ExampleStream


def open_examples(
    source: str | Path,
    /,
    *,
    image_size: int | None = None,
    input_column: str | Sequence[str] | None = None,
    label_column: str | None = None,
    labels: str | Path | None = None,
    needs_labels: bool = True,
) -> ExampleStream:
    """Open a data set that need not fit into memory; the options are those of `load_examples`, and more.

    Parameters
    ----------
    source
        See `load_examples`. Arrays are mapped into memory, those of compressed .npz files are loaded.
    image_size
        Resize the short side of images to this many pixels, and cut out the centre.
    input_column, label_column
        The column (Parquet) or key (.npz) of inputs and labels, where the usual names do not tell. A
        sequence of columns or keys gives a dict of inputs, whole numbers as int64 and others as float32;
        lists that differ in length are filled up with 0 to the longest of their batch. So do, where they
        are there and nothing else is chosen, ``input_ids``, ``attention_mask`` and ``token_type_ids``.
    labels
        For an .npy file: the .npy file of its labels.
    needs_labels
        Whether data without labels is refused.

    Returns
    -------
    stream
        The same ids, inputs and labels as `load_examples` gives, a batch at a time.

    Raises
    ------
    StoreError
        If the source is not there, is not what its name claims, is damaged or is empty.
    PruneKitError
        If columns are missing or cannot be told, ids are doubled, labels have gaps, or an option does not
        fit the source. What is wrong with inputs is found when they are read.
    MissingExtraError
        If scikit-learn or Pillow is needed and not installed.

    Examples
    --------
    >>> stream = open_examples("digits")
    >>> stream
    ExampleStream(1347 images in 10 classes from digits)
    >>> [len(ids) for ids, inputs, labels in stream.batches(500)]
    [500, 500, 347]
    """
    check_image_size(image_size)
    found = find_data(source)
    options = {"input_column": input_column, "label_column": label_column, "labels": labels}
    check_options(found, str(source), options)
    path = found.paths[0] if found.paths else Path()
    reader: Reader
    match found.kind:
        case "digits":
            reader = _in_memory(str(source), image_size)
        case "npy":
            targets = None if labels is None else Path(labels)
            reader = open_npy(path, targets, image_size=image_size, needs_labels=needs_labels)
        case "npz":
            reader = open_npz(
                path,
                image_size=image_size,
                input_column=input_column,
                label_column=label_column,
                needs_labels=needs_labels,
            )
        case "images":
            reader = FolderReader(path, image_size=image_size)
        case "parquet":
            from .parquet import ParquetReader  # loads pyarrow

            reader = ParquetReader(
                found.paths,
                str(source),
                image_size=image_size,
                input_column=input_column,
                label_column=label_column,
                needs_labels=needs_labels,
                one_array=False,
            )
    return ExampleStream(reader)


def _in_memory(name: str, image_size: int | None) -> ArrayReader:
    examples = digits(name)
    return ArrayReader(
        lambda: examples.inputs,
        examples.labels,
        examples.ids,
        examples.class_names,
        examples.source,
        image_size=image_size,
    )
