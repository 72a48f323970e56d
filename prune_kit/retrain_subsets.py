"""Train networks on subsets of the data with what an adapter trains with, and test each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from .errors import PruneKitError
from .held_out import check_test_data
from .identity import replaced_parts
from .progress import within
from .retraining import Retraining, run_path, start_retraining, write_accuracies
from .store import Run
from .training import Recipe, check_epochs, check_seeds, versions
from .training_subsets import Choice, Positions, training_subsets

Equal = Literal["steps", "epochs"]
EQUAL: tuple[Equal, ...] = get_args(Equal)


def retrain_subsets(
    make_model: Callable[[], Any],
    data: Any,
    test_data: Any,
    /,
    *,
    as_source: Callable[..., Any],
    subset: Callable[[Any, Any], Any],
    train_seeds: Callable[..., Run],
    framework: str,
    subsets: Mapping[str, Choice],
    seeds: int | Sequence[int],
    epochs: int,
    out: str | Path,
    equal: Equal,
    at_epochs: Sequence[int] | None,
    recipe: Recipe | None,
    prepare: Callable[[Any], Any] | None,
    described: Mapping[str, Any] | None,
    test_described: Mapping[str, Any] | None,
    progress: bool,
    **training: Any,
) -> Retraining:
    """Train several seeds on each of several subsets, and measure the accuracy on test data.

    Parameters
    ----------
    as_source, subset, train_seeds, framework
        The adapter's, and its name. ``as_source(data, like=source)`` standardises images of `Examples` as
        `source` does.
    make_model, data, test_data, subsets, seeds, epochs, out, equal, at_epochs, recipe, prepare, \
    described, test_described, progress
        See the adapter's `retrain`.
    **training
        What else `train_seeds` takes.

    Raises
    ------
    PruneKitError
        As the adapter's `retrain`.
    """
    chosen_seeds, chosen_epochs = check_seeds(seeds), check_epochs(epochs, at_epochs)
    if equal not in EQUAL:
        raise PruneKitError(f"`equal` must be one of {', '.join(EQUAL)}; got {equal!r}.")
    recipe = recipe or Recipe()
    source = as_source(data)
    tested = as_source(test_data, like=source)
    fingerprint, test_fingerprint = source.fingerprint(), tested.fingerprint()
    if fingerprint == test_fingerprint:
        raise PruneKitError(
            "`test_data` is the training data: accuracy on it would say how much was learned by heart.",
            hint="give examples that were never trained on",
        )
    check_test_data(data, test_data)
    chosen = training_subsets(subsets, len(source), chosen_seeds)

    def examples_of(positions: Positions | None) -> Any:
        kept = data if positions is None else subset(data, positions)
        return as_source(kept if prepare is None else prepare(kept), like=source)

    steps = examples_of(None).steps(recipe.batch_size) if equal == "steps" else None
    content = {
        "config": {
            "framework": framework,
            "data": {"examples": len(source), "fingerprint": fingerprint},
            "recipe": recipe.as_dict(),
            **(described or {}),
        },
        "test": {"examples": len(tested), "fingerprint": test_fingerprint, **(test_described or {})},
        "equal": equal,
        "subsets": {each.name: each.as_dict() for each in chosen},
        "seeds": chosen_seeds,
        "epochs": epochs,
        "at_epochs": chosen_epochs,
        "made_with": versions(framework),
    }
    with start_retraining(out, content) as written:
        for each in chosen:
            for place, seeds_together, positions in each.together():
                examples = examples_of(positions)
                about = {
                    **each.as_dict(),
                    **{f"seed={seed}": each.of_seed(seed) for seed in seeds_together},
                    "subset": each.name,
                    "fingerprint": fingerprint,
                    "equal": equal,
                    "steps": steps or examples.steps(recipe.batch_size),
                    "replaced": replaced_parts(prepare=prepare),
                }
                with within(f"{each.name}{place}: "):
                    train_seeds(
                        make_model,
                        tested,
                        training_data=examples,
                        seeds=seeds_together,
                        epochs=epochs,
                        at_epochs=chosen_epochs,
                        run=run_path(Path(out), each.name),
                        recipe=recipe,
                        steps_per_epoch=steps,
                        described={**(described or {}), **(test_described or {}), "training": about},
                        progress=progress,
                        **training,
                    )
            write_accuracies(Path(out), written)
    return Retraining.read(out)
