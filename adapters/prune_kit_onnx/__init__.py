"""The ONNX Runtime adapter: scores of exported models. The module itself has the adapter's verbs."""

from __future__ import annotations

try:
    from onnxruntime import InferenceSession as _InferenceSession  # noqa: F401 - told before anything else fails
except ImportError as error:
    from prune_kit.errors import MissingExtraError

    raise MissingExtraError(
        f"ONNX Runtime cannot be imported: {error}.",
        hint='pip install "prune-kit[onnx]", or "prune-kit[onnx-gpu]" for a GPU; not both: they share one '
        "folder, and removing one breaks the other (uninstall both, then install one)",
    ) from error

from .inference import Batch, predict
from .model_scoring import score_models
from .options import ModelOptions
from .scoring import SCORES, score
from .small_models import make_small_models
from .sources import as_source

__all__ = [
    "SCORES",
    "Batch",
    "ModelOptions",
    "as_source",
    "make_small_models",
    "predict",
    "score",
    "score_models",
]
