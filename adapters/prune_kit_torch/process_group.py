"""The processes that train one model together, as torch.distributed knows them."""

from __future__ import annotations

from typing import Any

import torch.distributed as dist


class ProcessGroup:
    """The default process group; one process where there is none."""

    @property
    def size(self) -> int:
        """See `prune_kit.peers.Peers.size`."""
        return dist.get_world_size() if self._is_there() else 1

    @property
    def rank(self) -> int:
        """See `prune_kit.peers.Peers.rank`."""
        return dist.get_rank() if self._is_there() else 0

    def gather(self, value: Any, /) -> list[Any]:
        """See `prune_kit.peers.Peers.gather`; NumPy arrays keep their types, ids of int64 included."""
        if not self._is_there():
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    @staticmethod
    def _is_there() -> bool:
        return dist.is_available() and dist.is_initialized()
