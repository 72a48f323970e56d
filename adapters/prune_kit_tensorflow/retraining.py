"""Train on subsets of the data: what pruning costs in accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prune_kit.retrain_subsets import Equal, retrain_subsets
from prune_kit.retraining import Retraining
from prune_kit.training import Recipe
from prune_kit.training_subsets import Choice

from .sources import as_source
from .subset import subset
from .training import train_seeds


def retrain(
    make_model: Callable[[], Any],
    data: Any,
    test_data: Any,
    /,
    *,
    subsets: Mapping[str, Choice],
    seeds: int | Sequence[int] = 3,
    epochs: int,
    out: str | Path,
    equal: Equal = "steps",
    at_epochs: Sequence[int] | None = None,
    recipe: Recipe | None = None,
    prepare: Callable[[Any], Any] | None = None,
    described: Mapping[str, Any] | None = None,
    test_described: Mapping[str, Any] | None = None,
    progress: bool = False,
    **training: Any,
) -> Retraining:
    """Train several seeds on each of several subsets of the data, and measure the accuracy on test data.

    A seed begins with the same weights on every subset, so that differences between subsets are paired.
    The same call goes on with a retraining that was interrupted; it may gain subsets, seeds and epochs.

    Parameters
    ----------
    make_model
        As for `train_seeds`.
    data
        All of the training data, without augmentation: what `subset` takes.
    test_data
        The data to measure the accuracy on, of the same kind. Images of `Examples` are standardised with
        the mean and deviation of all of `data`: on every subset, and the test images too.
    subsets
        By name, positions in `data`, shape (k,), each once; a function that gives them for a seed, such as
        ``lambda seed: keep_random(n, fraction=0.5, seed=seed)``, drawn anew for every seed; or None for all
        of the data. Names become folders.
    seeds
        How many trainings on each subset (seeds 0, 1, ...), or which.
    epochs
        How long to train.
    out
        The directory: retrain.json, accuracy.parquet, and a run directory for each subset.
    equal
        "steps": every subset is trained for as many steps as all of the data would be, at the same learning
        rates, so the examples of a smaller one are seen more often; Paul et al. 2021 do so. "epochs": for as
        many passes over the subset, so with fewer steps; what a tf.data.Dataset needs.
    at_epochs
        After which epochs to measure; 0 is initialisation. By default the last one. With equal steps these
        are epochs of all of the data.
    recipe
        Hyper-parameters; the paper's by default. Its milestones are absolute: short trainings need others.
    prepare
        Makes of a subset, which is the same kind of data as `data`, what is trained on: ``lambda kept:
        kept.shuffle(10_000).batch(128)`` of a tf.data.Dataset, which is trained on in its own order.
    described, test_described
        What else retrain.json is to say, of all and of the test data, and to compare when the retraining goes
        on. The runs, whose data is the test data, say both.
    progress
        Whether to show bars on stderr (never off a terminal).
    **training
        What else `train_seeds` takes: device, precision, channels_last, checkpoints, optimizer ...

    Returns
    -------
    Retraining
        Its `summary` has the accuracies with standard errors, and the differences to baselines.

    Raises
    ------
    PruneKitError
        If a subset or an option is out of range, `test_data` is the training data or is not like it, or as
        `subset` and `train_seeds` do.
    RunConflictError
        If `out` holds another retraining, or another process is writing to it.

    References
    ----------
    Paul, Ganguli, Dziugaite: Deep Learning on a Data Diet, NeurIPS 2021, section 2 and Appendix B.
    """
    return retrain_subsets(
        make_model,
        data,
        test_data,
        as_source=as_source,
        subset=subset,
        train_seeds=train_seeds,
        framework="tensorflow",
        subsets=subsets,
        seeds=seeds,
        epochs=epochs,
        out=out,
        equal=equal,
        at_epochs=at_epochs,
        recipe=recipe,
        prepare=prepare,
        described=described,
        test_described=test_described,
        progress=progress,
        **training,
    )
