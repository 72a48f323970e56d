"""Packages of the extra `report`, imported where they are used; a missing one is told how to install."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import MissingExtraError


def package(name: str) -> Any:
    """The package `name` of the extra `report`.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            f"a report needs {name}, which is not installed.", hint='pip install "prune-kit[report]"'
        ) from error
