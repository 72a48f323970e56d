"""Random numbers of an epoch that depend on its seed alone, and leave the caller's streams alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from prune_kit.global_streams import streams_put_back


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch (all devices), NumPy and `random` inside the block; put their states back after it.

    The global generators are what dropout, initialisers and users' augmentation draw from.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices), streams_put_back():
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - the global stream is meant
        random.seed(seed)
        yield


@contextmanager
def deterministic_kernels() -> Iterator[None]:
    """Have cuDNN choose the same kernels each time inside the block."""
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before
