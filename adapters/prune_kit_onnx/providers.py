"""Which execution provider a model runs on: the first that really works, or the one that was asked for."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import onnxruntime as ort

from prune_kit.errors import PruneKitError

_PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "directml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""By the name of their device, in the order in which they are tried."""
_DEVICE = re.compile(r"(cuda|tensorrt|directml|cpu)(?::(\d+))?")
_DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml")

OpenSession = Callable[[list[Any]], ort.InferenceSession]
"""Opens the model with a list of providers."""


def open_on(device: str | None, open_session: OpenSession) -> ort.InferenceSession:
    """Open a session on `device`, or on the first of CUDA, TensorRT, DirectML and the CPU that works.

    What is built into ONNX Runtime need not work on this machine: only the session itself tells.

    Parameters
    ----------
    device
        cpu, cuda, tensorrt or directml, the latter three also with a number, as ``cuda:1``; or None.
    open_session
        Opens the model with a list of providers.

    Raises
    ------
    PruneKitError
        If it is no device, or one that cannot be had. Where none was asked for, a warning says which one
        did not work.
    """
    if device is not None:
        return _open_only_on(device, open_session)
    for name in _built_in():
        session = open_session(_with_cpu(name, 0))
        if device_of(session) == name:
            return session
        warnings.warn(
            f"this onnxruntime is built for {name}, which does not work on this machine: {_why_not(name)} "
            "The next one is tried; device='cpu' says that the CPU is meant.",
            UserWarning,
            stacklevel=2,
        )
    raise PruneKitError(
        "ONNX Runtime has no execution provider that works.", hint="install onnxruntime again"
    )


def device_of(session: ort.InferenceSession) -> str:
    """The device on which a session runs, by the names of `open_on`; other providers keep their own name."""
    first = session.get_providers()[0]
    return next((device for device, provider in _PROVIDERS.items() if provider == first), first)


def check_device(session: ort.InferenceSession, device: str | None) -> None:
    """Refuse a device that the user's own session does not run on."""
    if device is not None and _parsed(device)[0] != device_of(session):
        raise PruneKitError(
            f"the session that was given runs on {device_of(session)}; `device` says {device}.",
            hint="leave `device` out, or give the model's path",
        )


def warn_if_installed_twice() -> None:
    """Warn where several builds of ONNX Runtime are installed, which overwrite each other's files."""
    there = installed_builds()
    if len(there) > 1:
        warnings.warn(
            f"{' and '.join(there)} are both installed. They share one folder: the one installed last is in "
            f"use, and removing one breaks the other. pip uninstall {' '.join(there)}, then install one.",
            UserWarning,
            stacklevel=2,
        )


def installed_builds() -> list[str]:
    """The names of the installed distributions of ONNX Runtime."""
    there = []
    for name in _DISTRIBUTIONS:
        try:
            version(name)
        except PackageNotFoundError:
            continue
        there.append(name)
    return there


def runtime_distribution() -> str:
    """The distribution whose version run.json notes."""
    return (installed_builds() or ["onnxruntime"])[-1]


def _open_only_on(device: str, open_session: OpenSession) -> ort.InferenceSession:
    name, number = _parsed(device)
    if name in _built_in():
        session = open_session(_with_cpu(name, number))
        if device_of(session) == name:
            return session
    raise PruneKitError(
        f"`device` {device} cannot be had: {_why_not(name)}",
        hint=f"the devices that this build knows are {', '.join(_built_in())}",
    )


def _parsed(device: str) -> tuple[str, int]:
    match = _DEVICE.fullmatch(device)
    if match is None:
        raise PruneKitError(
            f"`device` must be cpu, cuda, cuda:N, tensorrt or directml; got {device!r}.",
            hint="sessions with other providers can be given in place of the model",
        )
    return match[1], int(match[2] or 0)


def _built_in() -> list[str]:
    there = ort.get_available_providers()
    return [device for device, provider in _PROVIDERS.items() if provider in there]


def _with_cpu(name: str, number: int) -> list[Any]:
    """The provider, and the CPU for operations that it does not have."""
    if name == "cpu":
        return [_PROVIDERS["cpu"]]
    return [(_PROVIDERS[name], {"device_id": number}), _PROVIDERS["cpu"]]


def _why_not(name: str) -> str:
    there = installed_builds()
    if name not in _built_in():
        package = {
            "cuda": "onnxruntime-gpu",
            "tensorrt": "onnxruntime-gpu",
            "directml": "onnxruntime-directml",
        }
        return (
            f"{' and '.join(there) or 'onnxruntime'} is built without it. It needs {package.get(name, name)} "
            "in place of what is installed, never beside it."
        )
    if len(there) > 1:
        return f"{' and '.join(there)} are both installed, and share one folder; uninstall both, install one."
    return "its libraries (CUDA, cuDNN) or its GPU are not there, or are not of the versions it needs."
