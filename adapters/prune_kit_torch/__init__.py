"""The PyTorch adapter: importing it is the opt-in to torch. The module itself has the adapter's verbs."""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401 - a missing extra is told before anything else fails
except ImportError as error:
    from prune_kit.errors import MissingExtraError

    raise MissingExtraError(
        f"PyTorch cannot be imported: {error}.", hint='pip install "prune-kit[torch]"'
    ) from error

from .barriers import error_barriers
from .checkpoint_scoring import score_checkpoints
from .checkpoints import load_checkpoint, save_checkpoint
from .export import export_onnx
from .gradients import GradientNorms, gradient_norms
from .identified_loader import with_ids
from .inference import Batch, predict
from .linear_path import error_path, linear_path
from .models import MODELS, built_in_model
from .recorder import EpochRecord, ScoreRecorder
from .retraining import retrain
from .scoring import SCORES, score
from .sources import as_source
from .subset import subset
from .tangent_kernel import neural_tangent_kernel
from .training import Training, train_seeds
from .velocity import kernel_velocities

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
    "error_barriers",
    "error_path",
    "export_onnx",
    "gradient_norms",
    "kernel_velocities",
    "linear_path",
    "load_checkpoint",
    "neural_tangent_kernel",
    "predict",
    "retrain",
    "save_checkpoint",
    "score",
    "score_checkpoints",
    "subset",
    "train_seeds",
    "with_ids",
]
