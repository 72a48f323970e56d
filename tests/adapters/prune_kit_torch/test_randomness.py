import random

import numpy as np
import pytest
import torch

from prune_kit_torch.randomness import deterministic_kernels, seeded


def draw():
    return torch.rand(()).item(), np.random.random(), random.random()  # noqa: NPY002 - the global stream


def test_the_same_seed_gives_the_same_numbers_and_another_gives_others():
    drawn = []
    for seed in (2**62 + 1, 2**62 + 1, 5):
        with seeded(seed):
            drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert all(a != b for a, b in zip(drawn[0], drawn[2], strict=True))


def test_the_streams_outside_go_on_as_if_nothing_had_been_drawn():
    with seeded(1):
        expected = draw(), draw()
    with seeded(1):
        first = draw()
        with pytest.raises(ZeroDivisionError), seeded(2):
            draw()[0] / 0
        assert (first, draw()) == expected


def test_choices_of_cudnn_are_put_back():
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    with deterministic_kernels():
        assert torch.backends.cudnn.deterministic
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == before
