"""What every training adapter shares: the recipe, seeds of random streams, what is left to do."""

from __future__ import annotations

import functools
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .checkpoint_files import file_digest
from .checks import is_whole_number
from .errors import PruneKitError
from .store import Run

Augmentation = Literal["none", "crop", "crop-flip"]
AUGMENTATIONS: tuple[Augmentation, ...] = ("none", "crop", "crop-flip")
PRECISIONS = ("float32", "bfloat16")

_SECONDS_BETWEEN_SAVES = 10.0

# Random streams of one seed are told apart by these; changing a number changes every score.
_STREAMS = {"weights": 0, "order": 1, "epoch": 2}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How each seed is trained; the defaults are the paper's for CIFAR-10.

    SGD with Nesterov momentum 0.9 and weight decay 5e-4, batches of 128, learning rate 0.1 multiplied by
    0.2 after epochs 60, 120 and 160 (of 200); Paul et al. 2021, Appendix B. The milestones are absolute:
    training for the 20 epochs that scores need is the beginning of the long training, at rate 0.1.

    Attributes
    ----------
    batch_size : int
        Examples in a step. A last, smaller batch is left out of the epoch (other examples each time).
    learning_rate, momentum, weight_decay : float
        Of SGD. `momentum` is Nesterov's where it is above 0.
    milestones : tuple of int
        Completed epochs after which the learning rate is multiplied by `decay`.
    decay : float
        See `milestones`.
    augmentation : {"none", "crop", "crop-flip"}
        Of images while training: random crops after padding by an eighth of the side, and mirror images.
        Never while scoring.
    """

    batch_size: int = 128
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    milestones: tuple[int, ...] = (60, 120, 160)
    decay: float = 0.2
    augmentation: Augmentation = "none"

    def __post_init__(self) -> None:
        if not is_whole_number(self.batch_size, at_least=1):
            raise PruneKitError(f"`batch_size` must be a whole number of 1 or more; got {self.batch_size!r}.")
        for name, low in (("learning_rate", 0.0), ("momentum", 0.0), ("weight_decay", 0.0), ("decay", 0.0)):
            value = getattr(self, name)
            if not (isinstance(value, Real) and np.isfinite(float(value)) and float(value) >= low):
                raise PruneKitError(f"`{name}` must be a finite number of 0 or more; got {value!r}.")
        if not isinstance(self.milestones, tuple) or not all(
            is_whole_number(each, at_least=0) for each in self.milestones
        ):
            raise PruneKitError(
                f"`milestones` must be a tuple of whole numbers of 0 or more; got {self.milestones!r}."
            )
        if self.augmentation not in AUGMENTATIONS:
            raise PruneKitError(
                f"`augmentation` must be one of {', '.join(AUGMENTATIONS)}; got {self.augmentation!r}."
            )

    def learning_rate_factor(self, epoch: float) -> float:
        """By what the learning rate is multiplied after `epoch` epochs (a fraction inside an epoch)."""
        return self.decay ** sum(epoch >= milestone for milestone in self.milestones)

    def as_dict(self) -> dict[str, Any]:
        """The recipe as JSON values, for run.json."""
        return asdict(self)


def stream_seed(seed: int, stream: str, epoch: int = 0) -> int:
    """The seed of one random stream, in [0, 2**63): its weights, its data order, what an epoch draws.

    Streams of a seed are independent of each other and of other seeds', and an epoch's stream depends on
    nothing drawn before it: training that was interrupted goes on with the same numbers.

    Examples
    --------
    >>> stream_seed(0, "weights") == stream_seed(0, "weights")
    True
    >>> len({stream_seed(s, "order", e) for s in range(10) for e in range(10)})
    100
    """
    words = np.random.SeedSequence([seed, _STREAMS[stream], epoch]).generate_state(2, np.uint32)
    return int(words[0]) << 31 ^ int(words[1])


def check_seeds(seeds: int | Sequence[int]) -> list[int]:
    """The seeds as a list, ascending: `seeds` of them from 0 on, or those that it names."""
    named: Any = seeds
    if is_whole_number(seeds, at_least=1):
        named = range(int(named))
    if (
        not isinstance(named, Sequence)
        or isinstance(named, str)
        or not named
        or not all(is_whole_number(each, at_least=0) for each in named)
    ):
        raise PruneKitError(
            "`seeds` must be a whole number of 1 or more, or a list of whole numbers of 0 or more; "
            f"got {seeds!r}."
        )
    if len(set(named)) < len(named):
        raise PruneKitError(f"`seeds` must name each seed once; got {list(named)}.")
    return sorted(int(each) for each in named)


def check_epochs(epochs: int, at_epochs: Sequence[int] | None, *, initial_epoch: int = 0) -> list[int]:
    """The epochs to score at, ascending: `at_epochs`, or `epochs` alone. Epoch 0 is initialisation."""
    for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
        if not is_whole_number(value, at_least=0):
            raise PruneKitError(f"`{name}` must be a whole number of 0 or more; got {value!r}.")
    if initial_epoch > epochs:
        raise PruneKitError(
            f"`initial_epoch` must be at most `epochs`, {epochs}; got {initial_epoch}.",
            hint="`epochs` counts those that the initial weights have been trained for too",
        )
    chosen = [epochs] if at_epochs is None else list(at_epochs)
    if not chosen or not all(
        is_whole_number(each, at_least=initial_epoch) and each <= epochs for each in chosen
    ):
        first = f"{initial_epoch} (`initial_epoch`)" if initial_epoch else "0 (initialisation)"
        raise PruneKitError(
            f"`at_epochs` must be whole numbers from {first} to `epochs`, {epochs}; got {at_epochs!r}."
        )
    return sorted({int(each) for each in chosen})


def course_config(
    *, steps_per_epoch: int | None, initial_weights: str | Path | None, initial_epoch: int
) -> dict[str, Any]:
    """What run.json says of these options of `train_seeds`: nothing of those that are not given.

    Raises
    ------
    PruneKitError
        If `steps_per_epoch` is no whole number of 1 or more, there is no such file of weights, or
        `initial_epoch` is given without weights.
    """
    config: dict[str, Any] = {}
    if steps_per_epoch is not None:
        if not is_whole_number(steps_per_epoch, at_least=1):
            raise PruneKitError(
                f"`steps_per_epoch` must be a whole number of 1 or more; got {steps_per_epoch!r}."
            )
        config["steps_per_epoch"] = int(steps_per_epoch)
    if initial_weights is not None:
        config["initial_weights"] = file_digest(Path(initial_weights))
    elif initial_epoch:
        raise PruneKitError(
            f"`initial_epoch` {initial_epoch} is the age of `initial_weights`, which are not given.",
            hint="give a checkpoint that was trained for so many epochs",
        )
    if initial_epoch:
        config["initial_epoch"] = int(initial_epoch)
    return config


@dataclass(frozen=True)
class SeedPlan:
    """What is left to do for one seed: its epochs that have no scores (or no checkpoint) yet."""

    seed: int
    epochs: tuple[int, ...]

    @property
    def last_epoch(self) -> int:
        """The epoch after which nothing is left to do."""
        return self.epochs[-1]


def what_is_left(
    run: Run, seeds: Sequence[int], epochs: Sequence[int], *, checkpoints: bool
) -> list[SeedPlan]:
    """The seeds with something left to do, each with its epochs."""
    done = set(run.parts())
    plans = []
    for seed in seeds:
        left = tuple(
            epoch
            for epoch in epochs
            if (seed, epoch) not in done or (checkpoints and not run.checkpoint_path(seed, epoch).exists())
        )
        if left:
            plans.append(SeedPlan(seed, left))
    return plans


def run_config(
    framework: str, *, examples: int, fingerprint: str, scores: Sequence[str], save_probabilities: bool
) -> dict[str, Any]:
    """What run.json says of every run that the kit scores; adapters add what else makes it this one."""
    config = {
        "framework": framework,
        "data": {"examples": examples, "fingerprint": fingerprint},
        "scores": list(scores),
    }
    # Left out where it is not so: runs that were made before it could be said go on.
    return {**config, "save_probabilities": True} if save_probabilities else config


def is_save_due(path: Path) -> bool:
    """Whether the state of a seed is to be written to `path`: not if it was a moment ago."""
    return not path.exists() or time.time() - path.stat().st_mtime >= _SECONDS_BETWEEN_SAVES


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, the kit, NumPy and `packages`, for run.json."""
    found = {name: _version(name) for name in ("prune-kit", "numpy", *packages)}
    return {"python": platform.python_version(), **found}


@functools.cache
def _version(package: str) -> str:
    # Loads the email package: a tenth of `import prune_kit`.
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    try:
        return version(package)
    except PackageNotFoundError:  # installed under another name, as tensorflow-cpu is
        return version(packages_distributions().get(package, [package])[0])
