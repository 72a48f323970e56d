"""In what two descriptions of a run differ, name by name: what refuses a repeat that would mix two runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from typing import Any


def differences(before: Any, now: Any, done: Set[str] = frozenset(), name: str = "") -> Iterator[str]:
    """What differs, each as one phrase; nothing where both are equal.

    Parameters
    ----------
    before, now
        JSON values. Entries of objects whose name begins with ``seed=`` belong to a seed: one that only one
        of both has is no difference, and another value is one only where the seed has results.
    done
        The seeds that have, as ``seed=3``.
    name
        Where in a description both are.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            is_of_seed = key.startswith("seed=")
            if is_of_seed and not (key in before and key in now and key.partition("/")[0] in done):
                continue
            yield from differences(before.get(key), now.get(key), done, f"{name}.{key}" if name else key)
    elif before != now:
        yield f"{name} was {json.dumps(before)}, is now {json.dumps(now)}"
