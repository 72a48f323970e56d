"""What a model takes and gives: names, types and shapes, and which output holds the logits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnxruntime as ort

from prune_kit.errors import PruneKitError

_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")


class TensorSpec(NamedTuple):
    """An input or output of a model."""

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int | None, ...]
    """With the batch first; None where any size will do."""

    def __str__(self) -> str:
        shape = ", ".join(
            "N" if size is None and not i else str(size or "?") for i, size in enumerate(self.shape)
        )
        return f"{self.name}: {self.dtype} of shape ({shape})"


def inputs_of(session: ort.InferenceSession, name: str) -> list[TensorSpec]:
    """The inputs of a model.

    Raises
    ------
    PruneKitError
        If one is no tensor of numbers, or has no batch axis.
    """
    specs = []
    for each in session.get_inputs():
        if each.type not in _TYPES:
            raise PruneKitError(
                f"{name}: its input {each.name!r} is {each.type}, which NumPy arrays cannot be given as.",
                hint=f"inputs can be {', '.join(_TYPES)}",
            )
        if not each.shape:
            raise PruneKitError(f"{name}: its input {each.name!r} is one number, without a batch axis.")
        specs.append(_spec(each.name, each.type, each.shape))
    return specs


def fixed_batch(inputs: list[TensorSpec], name: str) -> int | None:
    """How many examples the model takes at a time; None for any number.

    Raises
    ------
    PruneKitError
        If its inputs differ in that.
    """
    sizes = {spec.shape[0] for spec in inputs} - {None}
    if len(sizes) > 1:
        raise PruneKitError(
            f"{name}: its inputs have batches of different sizes: {'; '.join(map(str, inputs))}.",
            hint="the first axis of every input must be the batch",
        )
    return next(iter(sizes), None)


def logits_output(session: ort.InferenceSession, wanted: str | None, name: str) -> TensorSpec:
    """The output that holds the logits.

    Parameters
    ----------
    session
        Of the model.
    wanted
        What the user chose: by default the only output, one called logits, or the only one of shape
        (batch, classes).
    name
        What to call the model.

    Raises
    ------
    PruneKitError
        If it is not there, is no tensor (b, c) of floating-point numbers, or cannot be told.
    """
    outputs = session.get_outputs()
    there = "; ".join(f"{each.name}: {each.type} {each.shape}" for each in outputs)
    if wanted is not None:
        candidates = [each for each in outputs if each.name == wanted]
        if not candidates:
            raise PruneKitError(f"{name} has no output {wanted!r}; it has {there}.", hint="check `logits`")
    else:
        usual = [each for each in outputs if each.name.lower().rpartition("/")[2] == "logits"]
        flat = [each for each in outputs if each.type in _FLOATS and len(each.shape or ()) == 2]
        candidates = outputs if len(outputs) == 1 else usual[:1] or flat
        if len(candidates) != 1:
            raise PruneKitError(
                f"{name} has several outputs, and which one holds the logits cannot be told: {there}.",
                hint="name it: logits='...' (--output)",
            )
    (chosen,) = candidates
    if chosen.type not in _FLOATS or (chosen.shape and len(chosen.shape) != 2):
        raise PruneKitError(
            f"{name} must give logits of shape (batch, classes); its output {chosen.name!r} is {chosen.type} "
            f"of shape ({', '.join(map(str, chosen.shape))}).",
            hint="a score is of one example with one label; flatten or pool what there is more of",
        )
    return _spec(chosen.name, chosen.type, chosen.shape)


def _spec(name: str, kind: str, shape: list[int | str | None]) -> TensorSpec:
    sizes = tuple(size if isinstance(size, int) and size > 0 else None for size in shape)
    return TensorSpec(name, np.dtype(_TYPES[kind]), sizes)
