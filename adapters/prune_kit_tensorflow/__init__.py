"""The TensorFlow adapter: importing it is the opt-in to TensorFlow. The module has the adapter's verbs."""

from __future__ import annotations

import os as _os

# Read once, when TensorFlow is loaded: its notes on instruction sets are no news to a user of the kit.
_os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

from .quiet import without_notes as _without_notes

try:
    with _without_notes():
        import keras as _keras
        import tensorflow as _tf  # noqa: F401 - a missing extra is told before anything else fails
except ImportError as error:
    from prune_kit.errors import MissingExtraError

    raise MissingExtraError(
        f"TensorFlow cannot be imported: {error}.",
        hint='pip install "prune-kit[tensorflow]", or [tensorflow-cpu]',
    ) from error

if _keras.backend.backend() != "tensorflow":
    from prune_kit.errors import PruneKitError as _PruneKitError

    raise _PruneKitError(
        f"Keras must run on TensorFlow; its backend is {_keras.backend.backend()}.",
        hint="set the environment variable KERAS_BACKEND to tensorflow before Keras is imported",
    )

from .barriers import error_barriers
from .callback import ScoringCallback
from .checkpoint_scoring import score_checkpoints
from .checkpoints import load_checkpoint, save_checkpoint
from .export import export_onnx
from .gradients import GradientNorms, gradient_norms
from .identified_data import with_ids
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
    "ScoringCallback",
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
