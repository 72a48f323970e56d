"""What ONNX Runtime raises, as one line that says what is wrong with the model."""

from __future__ import annotations

import re

from onnxruntime.capi import onnxruntime_pybind11_state as raised

from prune_kit.errors import PruneKitError

RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    raised.EngineError,
    raised.EPFail,
    raised.Fail,
    raised.InvalidArgument,
    raised.InvalidGraph,
    raised.InvalidProtobuf,
    raised.NoModel,
    raised.NoSuchFile,
    raised.NotImplemented,
    raised.RuntimeException,
    RuntimeError,
    ValueError,
)
"""They have no base class of their own."""

_PREFIX = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : ")
_PLACE = re.compile(r"/onnxruntime_src/\S+(?: [^:]*::.*?\))? ")
_OPSET = re.compile(r"Opset (\d+) is under development.*?till opset (\d+)")
_IR = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
_NO_OPERATION = re.compile(r"No Op registered for (\S+)|No opset import for domain '(\S*)'")
_UPGRADE = "export it with a lower opset_version, or install a newer onnxruntime"


def not_opened(name: str, error: Exception) -> PruneKitError:
    """The error of a model that ONNX Runtime cannot open.

    Parameters
    ----------
    name
        What to call the model.
    error
        One of `RUNTIME_ERRORS`.
    """
    said = told(error)
    if found := _OPSET.search(said):
        return PruneKitError(
            f"{name} is of opset {found[1]}; this onnxruntime knows opsets up to {found[2]}.", hint=_UPGRADE
        )
    if found := _IR.search(said):
        return PruneKitError(
            f"{name} has IR version {found[1]}; this onnxruntime knows versions up to {found[2]}.",
            hint=_UPGRADE,
        )
    if "External data" in said or "External initializer" in said:
        return PruneKitError(
            f"the weights of {name}, in a file of their own, are missing or cut short: {said}",
            hint="the files of external data must lie beside the model, under their own names",
        )
    if "INVALID_PROTOBUF" in str(error) or "No graph was found" in said:
        return PruneKitError(
            f"{name} is not a readable ONNX model.",
            hint="it may be cut short or of another kind; export it again",
        )
    if _NO_OPERATION.search(said):
        return PruneKitError(
            f"{name} has an operation that this onnxruntime does not know: {said}",
            hint="operations of a library of their own need an InferenceSession that has registered it: "
            "give that in place of the file",
        )
    return PruneKitError(f"{name} cannot be opened: {said}")


def told(error: Exception) -> str:
    """What ONNX Runtime says, in one line, without the places in its source."""
    said = " ".join(str(error).split())
    said = _PLACE.sub("", _PREFIX.sub("", said)).rstrip(". ")
    return (said if len(said) <= 400 else said[:400] + " ...") + "."
