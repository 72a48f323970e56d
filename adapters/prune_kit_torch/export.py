"""Models of PyTorch as ONNX files, to be scored where PyTorch is not."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prune_kit.atomic import atomic_path
from prune_kit.errors import MissingExtraError, PruneKitError, told

from .batches import Inputs, call, logits_of
from .inference import inference_mode, moved_to

_ONE_FILE_BYTES = 1 << 30  # protobuf ends at 2 GiB


def export_onnx(model: nn.Module, example: Inputs, path: str | Path, /) -> Path:
    """Save a model as an ONNX file that takes any number of examples and gives logits.

    Parameters
    ----------
    model
        As for `predict`. It is exported in inference mode, on the CPU, and found again as it was.
    example
        A batch of its inputs, two examples or more: a tensor, a tuple of positional arguments, or a dict of
        keyword arguments, whose keys become the names of the inputs. The other axes are fixed as they are
        here, apart from those of whole numbers (tokens), whose second may have any length.
    path
        The file, ``seed=0/epoch=20.onnx``, say. Weights above 1 GiB go into a file beside it.

    Returns
    -------
    Path
        The file. Its output is called ``logits``.

    Raises
    ------
    MissingExtraError
        If onnx or onnxscript is not installed.
    PruneKitError
        If `example` has fewer than two examples, or PyTorch cannot export the model.
    StoreError
        If the file cannot be written.
    """
    _check_extra()
    names, tensors = _named(example)
    if any(tensor.ndim == 0 or len(tensor) < 2 for tensor in tensors):
        raise PruneKitError(
            "`example` must be a batch of two examples or more; "
            f"got {', '.join(str(tuple(tensor.shape)) for tensor in tensors)}.",
            hint="with one, PyTorch takes the size of the batch for a constant",
        )
    dynamic = tuple(_dynamic(tensor) for tensor in tensors)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    size = sum(each.numel() * each.element_size() for each in model.state_dict().values())
    with moved_to(model, "cpu"), inference_mode(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, of what it deprecates in itself
        try:
            program = torch.onnx.export(
                _Logits(model, names if isinstance(example, dict) else None),
                # A tensor that stands there twice would become one input.
                tuple(tensor.detach().cpu().clone() for tensor in tensors),
                dynamo=True,
                verbose=False,
                input_names=names,
                output_names=["logits"],
                dynamic_shapes=(dynamic,),
            )
        except (torch.onnx.OnnxExporterError, RuntimeError, TypeError) as error:
            raise PruneKitError(
                f"PyTorch cannot export the model: {told(error)[:400]}.",
                hint="torch.onnx.export(..., dynamo=True, report=True) says more",
            ) from error
    assert program is not None
    if size > _ONE_FILE_BYTES:
        program.save(path, external_data=True)
    else:
        with atomic_path(path) as aside:
            program.save(aside, external_data=False)
    return path


class _Logits(nn.Module):
    """The model with its logits alone, called by position."""

    def __init__(self, model: nn.Module, names: list[str] | None) -> None:
        super().__init__()
        self.model = model
        self._names = names
        self.training = model.training

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits of shape (b, c)."""
        given = inputs if self._names is None else dict(zip(self._names, inputs, strict=True))
        return logits_of(call(self.model, given))


def _named(example: Inputs) -> tuple[list[str], list[Tensor]]:
    if isinstance(example, Tensor):
        names, tensors = ["inputs"], [example]
    elif isinstance(example, dict):
        names, tensors = list(example), list(example.values())
    elif isinstance(example, (tuple, list)):
        names, tensors = [f"inputs_{i}" for i in range(len(example))], list(example)
    else:
        names, tensors = [], []
    if not tensors or not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise PruneKitError(
            "`example` must be a tensor, or a tuple or dict of tensors; "
            f"got {', '.join(type(each).__name__ for each in tensors) or type(example).__name__}."
        )
    return names, tensors


def _dynamic(tensor: Tensor) -> dict[int, Any]:
    any_size = torch.export.Dim.DYNAMIC
    is_tokens = tensor.ndim == 2 and not tensor.is_floating_point()
    return {0: any_size, 1: any_size} if is_tokens else {0: any_size}


def _check_extra() -> None:
    try:
        import onnx  # noqa: F401 - what torch.onnx needs is told before it fails
        import onnxscript  # noqa: F401 - as above
    except ImportError as error:
        raise MissingExtraError(
            f"exporting needs {error.name}, which is not installed.", hint='pip install "prune-kit[export]"'
        ) from error
