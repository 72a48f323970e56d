"""What --data and --model name: files, the embedded digits, built-in models, things in modules."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from prune_kit.data import load_examples
from prune_kit.errors import PruneKitError

from .locate import call, import_attribute, is_import_spec


def read_data(
    source: str, /, *, label_column: str | None = None, image_size: int | None = None, option: str = "--data"
) -> Any:
    """The data that `source` names, in memory.

    Raises
    ------
    PruneKitError
        If there is no such data, or it cannot be read.
    """
    if source.startswith("digits:") or not is_import_spec(source):
        return load_examples(source, image_size=image_size, label_column=label_column)
    data = import_attribute(source, option)
    # A function or class makes the data; a data set that happens to be callable has a length.
    if callable(data) and (isinstance(data, type) or not hasattr(data, "__len__")):
        return call(data, source, option)
    return data


def find_model(verbs: Any, name: str, data: Any, /) -> Callable[[], Any]:
    """What makes the model `name` with an adapter's `verbs`: a built-in one that fits `data`, or the user's.

    Raises
    ------
    PruneKitError
        If there is no such model.
    """
    if not is_import_spec(name):
        make_built_in: Callable[[], Any] = verbs.built_in_model(name, data)
        return make_built_in
    make_model = import_attribute(name, "--model")
    if not callable(make_model):
        raise PruneKitError(
            f"--model {name} must be a class or function that makes a model; got {type(make_model).__name__}."
        )
    return partial(call, make_model, name, "--model")
