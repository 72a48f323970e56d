"""GraNd: exact gradient norms of every example at the cost of about one training step."""

from .engine import GradientNorms
from .losses import cross_entropy
from .norms import gradient_norms

__all__ = ["GradientNorms", "cross_entropy", "gradient_norms"]
