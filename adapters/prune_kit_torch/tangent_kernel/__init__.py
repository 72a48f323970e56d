"""The neural tangent kernel: Gram matrices of the Jacobians of logits, layer by layer."""

from .kernel import neural_tangent_kernel

__all__ = ["neural_tangent_kernel"]
