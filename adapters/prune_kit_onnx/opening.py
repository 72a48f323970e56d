"""What a model may be: a path, bytes, an onnx.ModelProto, or a session of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import onnxruntime as ort

from prune_kit.errors import MissingExtraError, PruneKitError

from .graph import Graph
from .providers import check_device, open_on
from .runtime_errors import RUNTIME_ERRORS, not_opened

if TYPE_CHECKING:
    import onnx

OnnxModel: TypeAlias = Any
"""A path (str or Path), bytes, an onnx.ModelProto, or an onnxruntime.InferenceSession."""
_FATAL = 4
_EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"


class Opener:
    """Opens one model, as it is or with more outputs.

    Parameters
    ----------
    model
        A path, bytes, an onnx.ModelProto or an InferenceSession.
    device
        As for `predict`.
    threads
        How many threads an operation may use; None for the runtime's own choice.

    Attributes
    ----------
    name : str
        What to call the model.

    Raises
    ------
    PruneKitError
        If it is none of these, or there is no such file.
    """

    def __init__(self, model: OnnxModel, *, device: str | None, threads: int | None) -> None:
        self._device = device
        self._threads = threads
        self._session: ort.InferenceSession | None = None
        self._content: str | bytes = b""
        self._folder: Path | None = None
        self.name = "the model"
        if isinstance(model, ort.InferenceSession):
            check_device(model, device)
            self._session = model
        elif isinstance(model, (str, Path)):
            path = Path(model)
            if not path.is_file():
                raise PruneKitError(f"there is no model {path}.", hint="check the spelling")
            self.name, self._content, self._folder = str(path), str(path), path.resolve().parent
        elif isinstance(model, bytes):
            self._content = model
        elif hasattr(model, "SerializeToString"):
            self._content = model.SerializeToString()
        else:
            raise PruneKitError(
                "`model` must be a path, bytes, an onnx.ModelProto or an onnxruntime.InferenceSession; "
                f"got {type(model).__name__}.",
                hint="models of PyTorch and TensorFlow are scored by their own adapters, or exported first",
            )

    def open(self) -> ort.InferenceSession:
        """The session of the model as it is.

        Raises
        ------
        PruneKitError
            If the model cannot be read or run, or the device cannot be had.
        """
        return self._session or self._opened(self._content)

    def open_with_outputs(self, graph: Graph, names: list[str]) -> ort.InferenceSession:
        """A session of the same model that gives these tensors too."""
        return self._opened(graph.with_outputs(names))

    def graph(self) -> Graph | None:
        """The graph; None of a session, which does not give its own, and of files in another format.

        Raises
        ------
        MissingExtraError
            If `onnx` is not installed.
        """
        if self._session is not None:
            return None
        proto = _read(self._content)
        return None if proto is None else Graph(proto)

    def _opened(self, content: str | bytes) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.log_severity_level = _FATAL  # what is wrong comes as an exception too
        if self._threads is not None:
            options.intra_op_num_threads = self._threads
        if self._folder is not None and isinstance(content, bytes):
            options.add_session_config_entry(_EXTERNAL_FOLDER, str(self._folder))

        def open_session(providers: list[Any]) -> ort.InferenceSession:
            try:
                return ort.InferenceSession(content, sess_options=options, providers=providers)
            except RUNTIME_ERRORS as error:
                raise not_opened(self.name, error) from error

        return open_on(self._device, open_session)


def external_files(path: Path) -> set[Path]:
    """The files beside a model that hold weights of it.

    Raises
    ------
    MissingExtraError
        If `onnx` is not installed.
    """
    proto = _read(str(path))
    if proto is None:
        return set()
    entries = (entry for weight in proto.graph.initializer for entry in weight.external_data)
    named = {path.parent / entry.value for entry in entries if entry.key == "location"}
    return {file for file in named if file.is_file()}


def _read(content: str | bytes) -> onnx.ModelProto | None:
    """The model, without weights in files of their own; None of another format, such as .ort."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise MissingExtraError(
            f"graphs are read with the package onnx, which cannot be imported: {error}.",
            hint='pip install "prune-kit[onnx]"',
        ) from error
    try:
        if isinstance(content, str):
            return onnx.load(content, load_external_data=False)
        return onnx.load_from_string(content)
    except DecodeError:
        return None
