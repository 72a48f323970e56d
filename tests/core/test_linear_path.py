import numpy as np
import pytest

from prune_kit.errors import PruneKitError
from prune_kit.linear_path import LinearPath, walk
from prune_kit.table import ScoreTable

IDS = [7, 8, 9]


def table(alpha, labels=(0, 1, 1)):
    columns = {"predicted": np.array([0, int(alpha > 0.4), 1]), "cross_entropy": np.array([alpha, 1, 2])}
    return ScoreTable(IDS, np.array(labels), columns)


@pytest.mark.parametrize("labels", [(0, 1, 1), [[0.9, 0.1], [0.2, 0.8], [0.0, 1.0]]])
def test_errors_and_losses_at_each_point(labels):
    path = walk(lambda alpha: table(alpha, labels), points=3, progress=False)
    assert path.alphas.tolist() == [0, 0.5, 1]
    assert path.ids.tolist() == IDS
    assert path.wrong.tolist() == [[False, True, False], [False] * 3, [False] * 3]
    np.testing.assert_allclose(path.errors, [1 / 3, 0, 0])
    np.testing.assert_allclose(path.losses, [1, 3.5 / 3, 4 / 3], rtol=1e-6)


def test_groups_are_positions():
    wrong = np.array([[True, False, False], [True, True, False]])
    path = LinearPath(np.array([0.0, 1.0]), np.array(IDS), wrong, wrong.astype(np.float32))
    assert path.wrong[:, [0, 1]].mean(axis=1).tolist() == [0.5, 1.0]


@pytest.mark.parametrize("points", [1, 0, 2.5, True, "11"])
def test_a_path_has_both_ends(points):
    with pytest.raises(PruneKitError, match="`points` must be a whole number of 2 or more"):
        walk(table, points=points, progress=False)


def test_the_point_that_cannot_be_scored_is_named():
    def diverged(alpha):
        if alpha > 0.3:
            raise PruneKitError("`logits` must be finite.")
        return table(alpha)

    with pytest.raises(PruneKitError, match="alpha 0.5: `logits` must be finite"):
        walk(diverged, points=3, progress=False)
