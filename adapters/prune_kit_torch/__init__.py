"""The PyTorch adapter: importing it is the opt-in to torch. The module itself has the adapter's verbs."""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401 - a missing extra is told before anything else fails
except ImportError as error:
    from prune_kit.errors import MissingExtraError

    raise MissingExtraError(
        f"PyTorch cannot be imported: {error}.", hint='pip install "prune-kit[torch]"'
    ) from error

from .checkpoint_scoring import score_checkpoints
from .checkpoints import load_checkpoint, save_checkpoint
from .export import export_onnx
from .gradients import GradientNorms, gradient_norms
from .identified_loader import with_ids
from .inference import Batch, predict
from .models import MODELS, built_in_model
from .recorder import EpochRecord, ScoreRecorder
from .scoring import SCORES, score
from .sources import as_source
from .subset import subset
from .training import Training, train_seeds

__all__ = [
    "MODELS",
    "SCORES",
    "Batch",
    "EpochRecord",
    "GradientNorms",
    "ScoreRecorder",
    "Training",
    "as_source",
    "built_in_model",
    "export_onnx",
    "gradient_norms",
    "load_checkpoint",
    "predict",
    "save_checkpoint",
    "score",
    "score_checkpoints",
    "subset",
    "train_seeds",
    "with_ids",
]
