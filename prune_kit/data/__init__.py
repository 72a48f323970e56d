"""Examples on disk as arrays: Parquet, .npz and .npy files, folders of images, the embedded digits."""

from __future__ import annotations

from .examples import Examples
from .load import load_examples
from .open import open_examples
from .pruned import write_pruned
from .reader import InputSpec
from .stream import ExampleBatch, ExampleStream

__all__ = [
    "ExampleBatch",
    "ExampleStream",
    "Examples",
    "InputSpec",
    "load_examples",
    "open_examples",
    "write_pruned",
]
