"""Accuracy on the test digits after some steps on a part of the training digits; a plain PyTorch loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

import prune_kit_torch as pkt
from prune_kit.data import Examples, load_examples

BATCH = 128


class Digits(NamedTuple):
    """Training and test digits as tensors, standardised by the training images."""

    examples: Examples
    x: torch.Tensor
    y: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor


def read_digits(given_labels: Any = None) -> Digits:
    """The digits, the training ones with `given_labels` where there are some."""
    train, test = load_examples("digits"), load_examples("digits:test")
    if given_labels is not None:
        train = Examples(train.inputs, given_labels, train.ids, train.class_names, train.source)
    mean, std = train.inputs.mean(), train.inputs.std()

    def tensors(examples: Examples) -> tuple[torch.Tensor, torch.Tensor]:
        images = (examples.inputs.transpose(0, 3, 1, 2) - mean) / std
        return torch.tensor(images, dtype=torch.float32), torch.tensor(examples.labels)

    return Digits(train, *tensors(train), *tensors(test))


def accuracy(digits: Digits, kept: Any, *, steps: int, seed: int) -> float:
    """Of a new network after `steps` steps on the kept digits, passes in new orders; seeds are from 1000."""
    rows = torch.as_tensor(np.asarray(kept))
    torch.manual_seed(1000 + seed)
    model = pkt.built_in_model("small-cnn", digits.examples)()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    taken = 0
    while taken < steps:
        order = rows[torch.randperm(len(rows))]
        for batch in order.split(BATCH)[: max(1, len(rows) // BATCH)][: steps - taken]:
            optimizer.zero_grad()
            F.cross_entropy(model(digits.x[batch]), digits.y[batch]).backward()
            optimizer.step()
            taken += 1
    with torch.no_grad():
        return float((model(digits.x_test).argmax(1) == digits.y_test).float().mean())


def with_error(values: Sequence[float]) -> str:
    """Mean and its standard error, as a cell of a table."""
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ± {error:.3f}"
