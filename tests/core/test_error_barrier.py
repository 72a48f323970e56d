import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from prune_kit.dynamics import error_barrier
from prune_kit.errors import PruneKitError


def by_definition(errors, alphas):
    """The largest excess over the line between the ends, point by point."""
    first, last = float(errors[0]), float(errors[-1])
    return max(float(e) - ((1 - a) * first + a * last) for e, a in zip(errors, alphas, strict=True))


@given(arrays(np.float64, st.integers(2, 9), elements=st.floats(0, 1)))
def test_the_largest_excess_over_the_line_between_the_ends(errors):
    found = error_barrier(errors)
    assert found == pytest.approx(by_definition(errors, np.linspace(0, 1, len(errors))), abs=1e-12)
    assert found >= 0


def test_points_need_not_be_equally_spaced():
    errors, alphas = [0.2, 0.2, 0.5, 0.4], [0.0, 0.1, 0.2, 1.0]
    assert error_barrier(errors, alphas) == pytest.approx(0.5 - (0.8 * 0.2 + 0.2 * 0.4), abs=1e-12)
    assert error_barrier(errors) == pytest.approx(0.5 - (0.2 + 0.4 * 2) / 3, abs=1e-12)


def test_a_path_below_the_line_has_no_barrier():
    assert error_barrier([0.5, 0.1, 0.5]) == 0.0
    assert error_barrier([0.0, 1.0]) == 0.0


@pytest.mark.parametrize("library", [np.asarray, torch.tensor, array_api_strict.asarray])
def test_arrays_of_any_library(library):
    errors = library([0.1, 0.5, 0.3])
    assert error_barrier(errors) == pytest.approx(0.3, abs=1e-7)
    assert error_barrier(errors, library([0.0, 0.25, 1.0])) == pytest.approx(0.35, abs=1e-7)
    assert error_barrier(errors, [0.0, 0.25, 1.0]) == pytest.approx(0.35, abs=1e-7)
    assert isinstance(error_barrier(errors), float)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.5],), "`errors` must have both ends, 2 points or more; got 1"),
        (([[0.1, 0.2]],), r"`errors` must have shape \(points,\); got \(1, 2\)"),
        (([0.1, float("nan")],), "`errors` must be finite"),
        ((["a", "b"],), "errors"),
        (([True, False],), "`errors` must be real numbers; got bool"),
        (([0.1, 0.2], [0.0, 0.5, 1.0]), r"`alphas` must have shape \(2,\), one per error; got \(3,\)"),
        (
            ([0.1, 0.2, 0.3], [0.0, 0.5, 0.9]),
            "`alphas` must ascend from 0 to 1, each once; they go from 0 to 0.9",
        ),
        (([0.1, 0.2, 0.3, 0.1], [0.0, 0.5, 0.5, 1.0]), "`alphas` must ascend"),
    ],
)
def test_what_is_no_path_is_refused(arguments, message):
    with pytest.raises(PruneKitError, match=message):
        error_barrier(*arguments)
