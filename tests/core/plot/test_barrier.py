import numpy as np
import pytest

from prune_kit import plot
from prune_kit.errors import PruneKitError

ALPHAS = np.linspace(0, 1, 5)
HEIGHTS = {"highest": 0.4, "lowest": 0.1}


def error(seed, spawn_epoch, kind):
    return HEIGHTS[kind] * 4 * ALPHAS * (1 - ALPHAS) / (1 + spawn_epoch) + seed / 100


def files(spawn_epochs):
    rows, summary = [], []
    for seed in range(2):
        for spawn_epoch in spawn_epochs:
            for kind in HEIGHTS:
                errors = error(seed, spawn_epoch, kind)
                rows += [(seed, spawn_epoch, kind, a, e) for a, e in zip(ALPHAS, errors, strict=True)]
                barrier = errors.max() - errors[0]
                summary.append(
                    {"seed": seed, "spawn_epoch": spawn_epoch, "examples": kind, "error_barrier": barrier}
                )
    names = ("seed", "spawn_epoch", "examples", "alpha", "error")
    return dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True)), summary


def test_the_path_is_of_the_first_spawn_epoch_and_the_barrier_of_all():
    path, barriers = plot.barrier(*files([0, 2, 5])).axes
    assert [line.get_label() for line in path.lines] == ["highest scores", "lowest scores"]
    for kind, line in zip(HEIGHTS, path.lines, strict=True):
        assert line.get_xdata().tolist() == ALPHAS.tolist()
        assert line.get_ydata() == pytest.approx(100 * np.mean([error(s, 0, kind) for s in range(2)], axis=0))
    for height, container in zip(HEIGHTS.values(), barriers.containers, strict=True):
        line = container.lines[0]
        assert line.get_xdata().tolist() == [0, 2, 5]
        assert line.get_ydata() == pytest.approx([100 * height / (1 + e) for e in (0, 2, 5)])
    assert path.get_title(loc="left") == "spawned at epoch 0"
    assert path.get_ylabel() == "training error (%)"


def test_the_path_of_another_spawn_epoch():
    path, _ = plot.barrier(*files([0, 2]), spawn_epoch=2).axes
    assert path.get_title(loc="left") == "spawned at epoch 2"
    assert path.lines[0].get_ydata().max() == pytest.approx(100 * (0.4 / 3 + 0.005))


def test_kinds_differ_by_more_than_colour():
    path, _ = plot.barrier(*files([0, 2])).axes
    assert len({line.get_linestyle() for line in path.lines}) == 2


def test_one_spawn_epoch_has_one_panel():
    assert len(plot.barrier(*files([3])).axes) == 1


def test_what_is_not_there():
    columns, summary = files([0, 2])
    with pytest.raises(PruneKitError, match="`spawn_epoch` must be one of 0, 2; got 1"):
        plot.barrier(columns, summary, spawn_epoch=1)
    with pytest.raises(PruneKitError, match="at least one path"):
        plot.barrier({name: column[:0] for name, column in columns.items()}, [])
