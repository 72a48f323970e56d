"""The ids that a data set brings with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.utils.data import TensorDataset

from prune_kit.batch_parts import ID_KEYS
from prune_kit.data import Examples
from prune_kit.errors import PruneKitError


def is_hugging_face(data: Any) -> bool:
    """Whether it is a Hugging Face Dataset, by what it offers: their library need not be installed."""
    return hasattr(data, "select") and hasattr(data, "features")


def own_ids(data: Any) -> Any:
    """The ids that `data` brings, as `as_source` finds them; None where it has none."""
    if isinstance(data, Examples):
        return data.ids
    if isinstance(data, (tuple, list)):
        return data[2] if len(data) == 3 else None
    if isinstance(data, TensorDataset):
        return data.tensors[2] if len(data.tensors) == 3 else None
    if is_hugging_face(data):
        column = next((name for name in ID_KEYS if name in data.column_names), None)
        return None if column is None else data.with_format(None)[column][:]
    example = data[0] if len(data) else None
    if (isinstance(example, (tuple, list)) and len(example) == 3) or (
        isinstance(example, Mapping) and not example.keys().isdisjoint(ID_KEYS)
    ):
        raise PruneKitError(
            f"`kept` holds ids, and each example of the {type(data).__name__} brings its own.",
            hint="give those of all examples: subset(data, kept, ids=table.ids) of the table of all scores",
        )
    return None
