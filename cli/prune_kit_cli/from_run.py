"""What a run was made from, found again by what its run.json says: the data, the model and the recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prune_kit.data import Examples
from prune_kit.errors import PruneKitError, StoreError
from prune_kit.store import Run
from prune_kit.training import Recipe

from .data_and_model import find_model, read_data
from .locate import adapter, adapter_names
from .randomised import randomised


@dataclass(frozen=True)
class Reopened:
    """A run, and what it was made from."""

    run: Run
    verbs: Any
    """The module of the adapter."""
    framework: str
    data: Any
    """The examples that were scored."""
    data_source: str
    """What names them."""
    make_model: Callable[[], Any]
    model_name: str
    """What names the model."""

    @property
    def config(self) -> dict[str, Any]:
        """What run.json says of the run."""
        return self.run.config

    @property
    def recipe(self) -> Recipe:
        """How the seeds of the run were trained.

        Raises
        ------
        PruneKitError
            If run.json says of none, as where checkpoints of the user's were scored; if parts of it were
            replaced by functions, which no file can hold.
        """
        written = self.config.get("recipe")
        if not isinstance(written, dict):
            raise PruneKitError(
                f"{self.run.path} does not say how its model was trained: nothing was trained for it.",
                hint="make a run with `prunekit score --framework torch --data DATA --model MODEL`",
            )
        if replaced := self.config.get("replaced"):
            raise PruneKitError(
                f"{self.run.path} was trained with {', '.join(sorted(replaced))} given as a function, which "
                "is not kept in the run.",
                hint="call the adapter's function of the same name with it instead of this command",
            )
        try:
            return Recipe(**written | {"milestones": tuple(written["milestones"])})
        except (TypeError, KeyError) as error:
            raise StoreError(
                f"{self.run.path / 'run.json'}: the recipe is not what it should be: {error}."
            ) from error


def reopen(
    path: str | Path,
    /,
    *,
    data: str | None = None,
    model: str | None = None,
    label_column: str | None = None,
    image_size: int | None = None,
    framework: str | None = None,
) -> Reopened:
    """Open a run together with its data and its model.

    Parameters
    ----------
    path
        The run directory.
    data, model, framework
        In place of what run.json says, as `prunekit score` takes them: where the data lies now, a model
        of another name or architecture, another framework.
    label_column, image_size
        As `prunekit score` was given them: run.json does not say.

    Raises
    ------
    PruneKitError
        If run.json does not say what the data or the model was, they cannot be found, or the data is not
        what was scored.
    """
    run = Run.open(path)
    name = framework or str(run.config.get("framework"))
    trained_by = [each for each in adapter_names() if each != "onnx"]
    if name not in trained_by:
        raise PruneKitError(
            f"{run.path} was made with the framework {name}, which trains nothing.",
            hint=f"say with --framework what is to train: {', '.join(trained_by)}; and --model",
        )
    verbs = adapter(name)
    data_source = data or _said(run, "data_source", "--data")
    model_name = model or _said(run, "model_name", "--model")
    try:
        found = read_data(data_source, label_column=label_column, image_size=image_size)
    except StoreError as error:
        if data is not None:
            raise
        raise StoreError(
            f"the data of {run.path} cannot be read again: {str(error).partition(' Hint: ')[0]}",
            hint="say with --data where it is now (a relative path is looked up from the current folder)",
        ) from error
    if how := run.config.get("randomised_labels"):
        found, _ = randomised(found, how)
    _check_same(run, verbs, found, data_source, image_size)
    return Reopened(run, verbs, name, found, data_source, find_model(verbs, model_name, found), model_name)


def _said(run: Run, name: str, option: str) -> str:
    said = run.config.get(name)
    if not isinstance(said, str):
        raise PruneKitError(
            f"{run.path} does not say what its {name.partition('_')[0]} was: it was not made by "
            "`prunekit score` from --data and --model.",
            hint=f"give {option}",
        )
    return said


def _check_same(run: Run, verbs: Any, data: Any, source: str, image_size: int | None) -> None:
    """Refuse data that is not what the run scored: its scores would be of other examples."""
    # Of `Examples` the fingerprint is the core's: the same in every framework.
    fingerprint = data.fingerprint if isinstance(data, Examples) else verbs.as_source(data).fingerprint()
    written = run.config.get("data", {})
    if fingerprint != written.get("fingerprint"):
        n = len(verbs.as_source(data))
        raise PruneKitError(
            f"{source} is not what {run.path} scored: that had {written.get('examples', '?')} examples and "
            f"the fingerprint {str(written.get('fingerprint'))[:12]}; this has {n} and {fingerprint[:12]}.",
            hint="give the same data with --data"
            + ("" if image_size else "; if it was scored with --image-size or --label-column, repeat them"),
        )
