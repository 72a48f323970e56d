"""`kernel_velocity` of prune_kit/dynamics.py against the definition in 60 digits."""

import decimal

import array_api_strict
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from prune_kit.dynamics import kernel_velocity
from prune_kit.errors import PruneKitError

LIBRARIES = {
    "numpy": np.asarray,
    "strict": array_api_strict.asarray,
    "torch": torch.asarray,
    "jax": jnp.asarray,
}


def exact(kernel, following):
    with decimal.localcontext() as context:
        context.prec = 60
        a, b = ([decimal.Decimal(float(x)) for x in np.ravel(m)] for m in (kernel, following))
        product = sum(x * y for x, y in zip(a, b, strict=True))
        return float(1 - product / (sum(x * x for x in a) * sum(y * y for y in b)).sqrt())


def kernels(rank=3, n=6, seed=0):
    rng = np.random.default_rng(seed)
    jacobians = rng.normal(size=(2, n, rank))
    return [j @ j.T for j in jacobians]


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_definition(library):
    kernel, following = kernels()
    found = kernel_velocity(LIBRARIES[library](kernel), LIBRARIES[library](following))
    assert isinstance(found, float)
    assert found == pytest.approx(exact(kernel, following), rel=1e-5 if library == "jax" else 1e-12)


@pytest.mark.parametrize("step", [1e-2, 1e-4, 1e-6, 1e-9])
def test_small_velocities_keep_their_digits(step):
    """At 1e-6, 1 - cosine is about 1e-12, of which float64 has four digits; at 1e-9 it has none."""
    kernel, other = kernels()
    following = kernel + step * other
    assert kernel_velocity(kernel, following) == pytest.approx(exact(kernel, following), rel=1e-5)


def test_scale_means_nothing():
    kernel, following = kernels()
    expected = kernel_velocity(kernel, following)
    assert kernel_velocity(1e300 * kernel, 1e-300 * following) == pytest.approx(expected, rel=1e-12)
    assert kernel_velocity(kernel, 4 * kernel) < 1e-30
    assert kernel_velocity(following, kernel) == pytest.approx(expected, rel=1e-12)
    assert kernel_velocity(kernel, -kernel) == pytest.approx(2, rel=1e-12)
    assert kernel_velocity(np.diag([1.0, 0]), np.diag([0, 1.0])) == pytest.approx(1, rel=1e-12)


def test_float32_kernels_are_compared_in_float64():
    kernel, following = (k.astype(np.float32) for k in kernels())
    assert kernel_velocity(kernel, following) == pytest.approx(exact(kernel, following), rel=1e-12)


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        (np.zeros((2, 2)), "not zero; it has only zeros. Hint: no trainable parameter"),
        (np.array([[1.0, np.nan], [0, 1]]), "not finite"),
        (np.array([[1.0, np.inf], [0, 1]]), "not finite"),
        (np.ones((2, 3)), r"square matrix; got shape \(2, 3\)"),
        (np.ones(4), "square matrix"),
        (np.ones((0, 0)), "square matrix"),
        (np.ones((2, 2), complex), "real numbers; got complex128"),
    ],
)
def test_bad_kernels(kernel, said):
    with pytest.raises(PruneKitError, match=said):
        kernel_velocity(kernel, np.eye(2))
    with pytest.raises(PruneKitError, match="`next_kernel`"):
        kernel_velocity(np.eye(2), kernel)


def test_kernels_of_other_examples():
    with pytest.raises(PruneKitError, match=r"same examples and classes; got shapes \(2, 2\) and \(3, 3\)"):
        kernel_velocity(np.eye(2), np.eye(3))
