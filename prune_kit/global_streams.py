"""The global random streams of Python and NumPy, which users' augmentation draws from."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def streams_put_back() -> Iterator[None]:
    """Put the states of `random` and of NumPy's global stream back after the block."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global stream is meant
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002 - the global stream is meant
