"""A method of one object replaced for a while, and found again as it was."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Method = Callable[..., Any]


@contextmanager
def replaced(owner: Any, name: str, wrapper: Callable[[Method], Method], /) -> Iterator[None]:
    """Have `owner`, alone of its class, a wrapped method `name` until the block ends.

    Parameters
    ----------
    owner
        The object.
    name
        The method.
    wrapper
        Makes the new method from the old one; its name and signature stay the old one's.
    """
    original = getattr(owner, name)
    was_its_own = name in vars(owner)
    setattr(owner, name, functools.wraps(original)(wrapper(original)))
    try:
        yield
    finally:
        if was_its_own:
            setattr(owner, name, original)
        else:
            delattr(owner, name)
