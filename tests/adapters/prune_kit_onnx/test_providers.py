"""Where a model runs. GPUs are acted: a runtime that is built for one, on a machine where it works or not."""

import importlib.metadata
import sys
import warnings

import onnxruntime as ort
import pytest

import prune_kit_onnx as pko
from prune_kit.errors import MissingExtraError, PruneKitError
from prune_kit_onnx import providers


class Session:
    """A session that says it runs on the first provider that works here."""

    def __init__(self, wanted, working):
        names = [each if isinstance(each, str) else each[0] for each in wanted]
        self._got = [name for name in names if name in working]
        self.wanted = wanted

    def get_providers(self):
        return self._got


CUDA, TENSORRT, DIRECTML, CPU = (
    "CUDAExecutionProvider",
    "TensorrtExecutionProvider",
    "DmlExecutionProvider",
    "CPUExecutionProvider",
)


@pytest.fixture
def machine(monkeypatch):
    """Opens on a machine with a runtime built for some providers, of which some work."""

    def open_on(device, built_in, working):
        monkeypatch.setattr(ort, "get_available_providers", lambda: built_in)
        return providers.open_on(device, lambda wanted: Session(wanted, working))

    return open_on


@pytest.mark.parametrize(
    ("device", "working", "chosen"),
    [
        (None, [CUDA, CPU], "cuda"),
        (None, [TENSORRT, CUDA, CPU], "cuda"),
        ("cpu", [CUDA, CPU], "cpu"),
        ("cuda", [CUDA, CPU], "cuda"),
        ("cuda:1", [CUDA, CPU], "cuda"),
        ("tensorrt", [TENSORRT, CUDA, CPU], "tensorrt"),
    ],
)
def test_what_works_is_taken(machine, device, working, chosen):
    session = machine(device, [TENSORRT, CUDA, CPU], working)
    assert providers.device_of(session) == chosen
    # What a GPU has no operation for runs on the CPU.
    assert session.wanted[-1] == CPU
    if device == "cuda:1":
        assert session.wanted[0] == (CUDA, {"device_id": 1})


def test_what_is_built_in_but_does_not_work_is_passed_over_with_a_warning(machine):
    with pytest.warns(UserWarning, match=r"built for (cuda|tensorrt), which does not work") as said:
        session = machine(None, [TENSORRT, CUDA, CPU], [CPU])
    assert providers.device_of(session) == "cpu"
    assert len(said) == 2  # CUDA and TensorRT
    with pytest.warns(UserWarning, match="built for cuda"):
        assert providers.device_of(machine(None, [CUDA, DIRECTML, CPU], [DIRECTML, CPU])) == "directml"


def test_a_device_that_was_asked_for_and_cannot_be_had_is_an_error(machine):
    with pytest.raises(PruneKitError, match="`device` cuda cannot be had: its libraries"):
        machine("cuda", [CUDA, CPU], [CPU])
    with pytest.raises(PruneKitError, match="`device` cuda:1 cannot be had: onnxruntime is built without it"):
        machine("cuda:1", [CPU], [CPU])
    with pytest.raises(
        PruneKitError, match="`device` must be cpu, cuda, cuda:N, tensorrt or directml; got 'gpu'"
    ):
        machine("gpu", [CPU], [CPU])


@pytest.fixture
def installed(monkeypatch):
    """Acts that these distributions are installed."""

    def act(*names):
        def version(name):
            if name not in names:
                raise importlib.metadata.PackageNotFoundError(name)
            return "1.0"

        monkeypatch.setattr(providers, "version", version)

    return act


def test_two_builds_that_share_a_folder_are_found_and_explained(installed, machine, linear, data):
    installed("onnxruntime", "onnxruntime-gpu")
    with pytest.warns(
        UserWarning, match="onnxruntime and onnxruntime-gpu are both installed. They share one"
    ):
        pko.score(linear(), data)
    with pytest.raises(PruneKitError, match="are both installed, and share one folder; uninstall both"):
        machine("cuda", [CUDA, CPU], [CPU])
    installed("onnxruntime-gpu")
    assert providers.runtime_distribution() == "onnxruntime-gpu"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        providers.warn_if_installed_twice()


def test_the_session_of_the_user_keeps_its_provider(linear, data):
    session = ort.InferenceSession(linear(), providers=[CPU])
    assert pko.score(session, data).provenance["device"] == "cpu"
    with pytest.raises(PruneKitError, match="the session that was given runs on cpu; `device` says cuda"):
        pko.score(session, data, device="cuda")


def test_a_missing_runtime_is_told_with_the_line_that_installs_it(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "prune_kit_onnx"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r'pip install "prune-kit\[onnx\]"'):
        importlib.import_module("prune_kit_onnx")
