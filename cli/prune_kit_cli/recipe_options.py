"""What commands that train again ask for: how the run's recipe is to be changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import click

from prune_kit.training import AUGMENTATIONS, Recipe

from .parameters import Epochs

F = TypeVar("F", bound=Callable[..., Any])

_NAMES = ("batch_size", "learning_rate", "milestones", "decay", "weight_decay", "augmentation")


def recipe_options(command: F) -> F:
    """Add options in place of parts of the run's recipe to a command."""
    options = (
        click.option(
            "--batch-size", type=click.IntRange(min=1), help="Examples in a step. [default: the run's]"
        ),
        click.option(
            "--learning-rate",
            type=click.FloatRange(min=0, min_open=True),
            help="Of the first epochs. [default: the run's]",
        ),
        click.option(
            "--milestones",
            type=Epochs(),
            help="After which epochs the learning rate is multiplied by --decay, such as 8,12. [default: the "
            "run's]",
        ),
        click.option(
            "--decay",
            type=click.FloatRange(min=0),
            help="What the learning rate is multiplied by. [default: the run's]",
        ),
        click.option("--weight-decay", type=click.FloatRange(min=0), help="Of SGD. [default: the run's]"),
        click.option(
            "--augmentation",
            type=click.Choice(AUGMENTATIONS),
            help="Of images while training. [default: the run's]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def changed_recipe(recipe: Recipe, options: Mapping[str, Any], /) -> Recipe:
    """The run's recipe, with what the options change."""
    changed = {name: options[name] for name in _NAMES if options[name] is not None}
    if "milestones" in changed:
        changed["milestones"] = tuple(changed["milestones"])
    return replace(recipe, **changed)
