"""What a DataLoader is told about how to load, apart from which examples and in which order."""

from __future__ import annotations

from typing import Any

from torch.utils.data import DataLoader

_NAMES = (
    "generator",
    "in_order",
    "multiprocessing_context",
    "num_workers",
    "persistent_workers",
    "pin_memory",
    "prefetch_factor",
    "timeout",
    "worker_init_fn",
)


def settings_of(loader: DataLoader[Any]) -> dict[str, Any]:
    """Keyword arguments that make another loader load as this one does; older torch has fewer."""
    return {name: getattr(loader, name) for name in _NAMES if hasattr(loader, name)}
