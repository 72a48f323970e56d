"""Examples on disk as arrays: Parquet, .npz and .npy files, folders of images, the embedded digits."""

from __future__ import annotations

from .examples import Examples
from .load import load_examples
from .pruned import write_pruned

__all__ = ["Examples", "load_examples", "write_pruned"]
