"""What --model and --data name: things in modules, and adapters by name."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from prune_kit.errors import PruneKitError, told

_ADAPTERS = "prune_kit.adapters"
_SPEC = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def is_import_spec(text: str) -> bool:
    """Whether `text` has the form package.module:attribute."""
    return _SPEC.fullmatch(text) is not None


def import_attribute(spec: str, option: str) -> Any:
    """The thing that `package.module:attribute` names; the current folder is searched first.

    Raises
    ------
    PruneKitError
        If the module does not import or has no such attribute.
    """
    module_name, _, attribute = spec.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise PruneKitError(
            f"{option} {spec}: the module {error.name} cannot be found.",
            hint="modules are looked up in the current folder and in the environment's packages",
        ) from error
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise PruneKitError(f"{option} {spec}: the module does not import: {told(error)}.") from error
    for name in attribute.split("."):
        if not hasattr(found, name):
            public = ", ".join(n for n in vars(found) if not n.startswith("_"))
            raise PruneKitError(f"{option} {spec}: there is no {name}; there are: {public[:300]}.")
        found = getattr(found, name)
    return found


def call(function: Callable[[], Any], spec: str, option: str) -> Any:
    """What a function that `package.module:attribute` names gives.

    Raises
    ------
    PruneKitError
        Whatever it raises.
    """
    try:
        return function()
    except PruneKitError:
        raise
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise PruneKitError(f"{option} {spec}: calling it fails: {told(error)}.") from error


def adapter(name: str) -> Any:
    """The adapter for the framework `name` (one of `adapter_names`), imported now.

    Raises
    ------
    MissingExtraError
        If its framework is not installed.
    """
    (entry_point,) = entry_points(group=_ADAPTERS, name=name)
    return entry_point.load()


def adapter_names() -> list[str]:
    """The frameworks that installed adapters are for."""
    return sorted({entry_point.name for entry_point in entry_points(group=_ADAPTERS)})
