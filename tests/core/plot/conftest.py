import itertools

import numpy as np
import pytest

from prune_kit.store import Run
from prune_kit.table import ScoreTable

N = 60


@pytest.fixture
def run(tmp_path):
    """Three seeds at epochs 0, 1, 2 and 4: el2n of 60 examples in three classes."""
    rng = np.random.default_rng(0)
    truth = rng.random(N)
    opened = Run.start(
        tmp_path / "run",
        config={"scores": ["el2n"], "class_names": ["cat", "dog", "$x_1$"]},
        seeds=range(3),
        epochs=[0, 1, 2, 4],
        made_with={},
    )
    with opened as started:
        for seed, epoch in itertools.product(range(3), (0, 1, 2, 4)):
            columns = {
                "el2n": (truth + rng.random(N) / (1 + epoch)).astype(np.float32),
                "predicted": rng.integers(0, 3, N),
                "p_label": rng.random(N).astype(np.float32),
            }
            started.write_part(seed, epoch, ScoreTable(np.arange(N), np.arange(N) % 3, columns))
    return started
