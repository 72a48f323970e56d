"""`__all__` is what is public, and what is public has a docstring."""

import inspect
import types

import pytest

import prune_kit
import prune_kit_onnx
import prune_kit_tensorflow
import prune_kit_torch
from prune_kit.errors import PruneKitError

PACKAGES = [prune_kit, prune_kit_torch, prune_kit_tensorflow, prune_kit_onnx]


def public_parts(package):
    for name in package.__all__:
        thing = getattr(package, name)
        if inspect.isclass(thing):
            yield f"{package.__name__}.{name}", thing
            for attribute, member in vars(thing).items():
                is_ours = isinstance(member, (types.FunctionType, classmethod, staticmethod, property))
                if is_ours and not attribute.startswith("_"):
                    yield f"{package.__name__}.{name}.{attribute}", member
        elif inspect.isfunction(thing):
            yield f"{package.__name__}.{name}", thing


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_all_is_what_is_public(package):
    there = {
        name
        for name, thing in vars(package).items()
        if not name.startswith("_") and not isinstance(thing, types.ModuleType) and name != "annotations"
    }
    assert set(package.__all__) == there
    assert len(set(package.__all__)) == len(package.__all__)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_all_is_sorted(package):
    """As ruff sorts it: constants, then classes, then functions."""

    def kind(name):
        return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)

    assert list(package.__all__) == sorted(package.__all__, key=kind)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_everything_public_says_what_it_does(package):
    parts = dict(public_parts(package))
    assert len(parts) >= 5
    without = [name for name, thing in parts.items() if not (thing.__doc__ or "").strip()]
    assert without == []


def test_arrays_are_positional_and_options_named():
    for name in ("el2n", "margin", "keep_hardest", "mean_over_seeds", "rank_agreement", "write_ids"):
        kinds = [each.kind for each in inspect.signature(getattr(prune_kit, name)).parameters.values()]
        assert inspect.Parameter.POSITIONAL_OR_KEYWORD not in kinds, name


def test_every_error_of_the_kit_is_one_family():
    for name in ("MissingExtraError", "RunConflictError", "StoreError"):
        assert issubclass(getattr(prune_kit, name), PruneKitError)
    assert issubclass(PruneKitError, ValueError)
    assert str(PruneKitError("Wrong.", hint="right")) == "Wrong. Hint: right"
    assert str(PruneKitError("Wrong.")) == "Wrong."
