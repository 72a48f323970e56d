import itertools
import os
import time

import numpy as np
import pytest

from prune_kit.errors import PruneKitError
from prune_kit.store import Run
from prune_kit.table import ScoreTable
from prune_kit.training import (
    Recipe,
    SeedPlan,
    check_epochs,
    check_seeds,
    course_config,
    is_save_due,
    run_config,
    stream_seed,
    versions,
    what_is_left,
)


def test_the_recipe_is_the_papers():
    """Paul et al. 2021, Appendix B: learning rate 0.1, times 0.2 after epochs 60, 120 and 160."""
    recipe = Recipe()
    assert recipe.as_dict() == {
        "batch_size": 128,
        "learning_rate": 0.1,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "milestones": (60, 120, 160),
        "decay": 0.2,
        "augmentation": "none",
    }
    rates = {0: 0.1, 59: 0.1, 59.99: 0.1, 60: 0.02, 119: 0.02, 120: 0.004, 159: 0.004, 160: 8e-4, 199: 8e-4}
    for epoch, rate in rates.items():
        assert recipe.learning_rate * recipe.learning_rate_factor(epoch) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be a whole number of 1 or more; got 0"),
        ({"batch_size": 2.5}, "`batch_size` must be a whole number"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be a finite number of 0 or more; got nan"),
        ({"learning_rate": -0.1}, "`learning_rate` must be"),
        ({"learning_rate": "0.1"}, "`learning_rate` must be a finite number of 0 or more; got '0.1'"),
        ({"momentum": -1}, "`momentum` must be"),
        ({"weight_decay": float("inf")}, "`weight_decay` must be"),
        ({"decay": -0.2}, "`decay` must be"),
        ({"milestones": 60}, "`milestones` must be"),
        ({"milestones": (60, -1)}, "`milestones` must be"),
        ({"augmentation": "flip"}, "must be one of none, crop, crop-flip; got 'flip'"),
    ],
)
def test_a_recipe_out_of_range_is_refused(wrong, message):
    with pytest.raises(PruneKitError, match=message):
        Recipe(**wrong)


def test_every_stream_has_its_own_seed():
    """Weights and data order of each seed, and what each epoch draws."""
    found = [
        stream_seed(seed, stream, epoch)
        for seed, stream, epoch in itertools.product(range(20), ("weights", "order", "epoch"), range(20))
    ]
    assert len(set(found)) == len(found) == 1200
    # The low bits too: NumPy's and Python's generators are given 32 of them.
    assert len({value % 2**32 for value in found}) == len(found)
    assert all(0 <= value < 2**63 for value in found)


def test_streams_stay_what_they_are():
    """Another number would make every score of every run another one, and resumed runs inconsistent."""
    assert stream_seed(0, "weights") == 6375474604893067239
    assert stream_seed(7, "order", 3) == 4116630838715775869


@pytest.mark.parametrize(
    ("given", "expected"),
    [(1, [0]), (3, [0, 1, 2]), ([4, 1], [1, 4]), ((0,), [0]), (range(2), [0, 1]), (np.int64(2), [0, 1])],
)
def test_seeds(given, expected):
    seeds = check_seeds(given)
    assert seeds == expected
    assert all(type(seed) is int for seed in seeds)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "3", [], [0.5], [-1], [True], None])
def test_seeds_that_are_none_are_refused(wrong):
    with pytest.raises(PruneKitError, match="`seeds` must be a whole number of 1 or more, or a list"):
        check_seeds(wrong)


def test_a_seed_named_twice_is_refused():
    with pytest.raises(PruneKitError, match=r"must name each seed once; got \[1, 0, 1\]"):
        check_seeds([1, 0, 1])


@pytest.mark.parametrize(
    ("epochs", "at", "expected"),
    [(5, None, [5]), (0, None, [0]), (5, [5, 0, 2, 2], [0, 2, 5]), (0, [0], [0]), (3, (1,), [1])],
)
def test_epochs(epochs, at, expected):
    assert check_epochs(epochs, at) == expected


@pytest.mark.parametrize(
    ("epochs", "at", "message"),
    [
        (-1, None, "`epochs` must be a whole number of 0 or more; got -1"),
        (2.0, None, "`epochs` must be a whole number"),
        (2, [3], r"from 0 \(initialisation\) to `epochs`, 2; got \[3\]"),
        (2, [-1], "`at_epochs` must be"),
        (2, [0.5], "`at_epochs` must be"),
        (2, [], "`at_epochs` must be"),
    ],
)
def test_epochs_that_are_none_are_refused(epochs, at, message):
    with pytest.raises(PruneKitError, match=message):
        check_epochs(epochs, at)


def test_what_is_left_are_the_parts_that_are_not_there(tmp_path):
    opened = Run.start(tmp_path, config={}, seeds=range(3), epochs=[0, 2], made_with={})
    with opened as run:
        for seed, epoch in [(0, 0), (0, 2), (1, 2)]:
            run.write_part(seed, epoch, ScoreTable([1], [0], {}))
        left = what_is_left(run, [0, 1, 2], [0, 2], checkpoints=False)
        assert left == [SeedPlan(1, (0,)), SeedPlan(2, (0, 2))]
        assert [plan.last_epoch for plan in left] == [0, 2]
        # Seeds and epochs that are not asked for now are not this command's.
        assert what_is_left(run, [0], [0], checkpoints=False) == []
        assert what_is_left(run, [1], [2], checkpoints=False) == []


def test_a_part_without_its_checkpoint_is_left_where_checkpoints_are_asked_for(tmp_path):
    with Run.start(tmp_path, config={}, seeds=[0], epochs=[0, 2], made_with={}) as run:
        for epoch in (0, 2):
            run.write_part(0, epoch, ScoreTable([1], [0], {}))
        path = run.checkpoint_path(0, 0)
        path.parent.mkdir(parents=True)
        path.touch()
        assert what_is_left(run, [0], [0, 2], checkpoints=False) == []
        assert what_is_left(run, [0], [0, 2], checkpoints=True) == [SeedPlan(0, (2,))]


def test_versions_are_those_installed():
    found = versions("scipy")
    assert set(found) == {"python", "prune-kit", "numpy", "scipy"}
    assert found["numpy"] == np.__version__


def test_a_state_is_written_when_there_is_none_or_it_is_old(tmp_path):
    file = tmp_path / "state"
    assert is_save_due(file)
    file.touch()
    assert not is_save_due(file)
    minutes_ago = time.time() - 60
    os.utime(file, (minutes_ago, minutes_ago))
    assert is_save_due(file)


def test_what_every_run_says_of_itself():
    given = {"examples": 3, "fingerprint": "f", "scores": ("el2n",)}
    plain = {"framework": "x", "data": {"examples": 3, "fingerprint": "f"}, "scores": ["el2n"]}
    assert run_config("x", **given, save_probabilities=False) == plain
    assert run_config("x", **given, save_probabilities=True) == {**plain, "save_probabilities": True}


def test_options_of_the_course_stand_in_run_json_only_where_they_are_given(tmp_path):
    nothing = course_config(steps_per_epoch=None, initial_weights=None, initial_epoch=0)
    assert nothing == {}
    file = tmp_path / "weights"
    file.write_bytes(b"abc")
    given = course_config(steps_per_epoch=7, initial_weights=file, initial_epoch=2)
    sha256_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert given == {"steps_per_epoch": 7, "initial_weights": sha256_of_abc, "initial_epoch": 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps_per_epoch": 0}, "`steps_per_epoch` must be a whole number of 1 or more; got 0"),
        ({"steps_per_epoch": 2.5}, "`steps_per_epoch` must be a whole number of 1 or more; got 2.5"),
        ({"initial_weights": "nowhere.safetensors"}, "there is no checkpoint nowhere.safetensors"),
        ({"initial_epoch": 2}, "`initial_epoch` 2 is the age of `initial_weights`, which are not given"),
    ],
)
def test_options_of_the_course_out_of_range(options, message):
    options = {"steps_per_epoch": None, "initial_weights": None, "initial_epoch": 0, **options}
    with pytest.raises(PruneKitError, match=message):
        course_config(**options)


def test_epochs_begin_at_the_initial_epoch():
    assert check_epochs(4, [2, 4], initial_epoch=2) == [2, 4]
    with pytest.raises(PruneKitError, match=r"from 3 \(`initial_epoch`\) to `epochs`, 4; got \[2, 4\]"):
        check_epochs(4, [2, 4], initial_epoch=3)
    with pytest.raises(PruneKitError, match="`initial_epoch` must be at most `epochs`, 4; got 5"):
        check_epochs(4, None, initial_epoch=5)
    with pytest.raises(PruneKitError, match="`initial_epoch` must be a whole number of 0 or more; got -1"):
        check_epochs(4, None, initial_epoch=-1)
