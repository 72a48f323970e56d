"""The definition of GraNd, written out: one backward pass per example, in float64."""

import copy
from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from torch.utils._pytree import tree_map


def _call(model, inputs):
    if isinstance(inputs, Mapping):
        output = model(**inputs)
    elif isinstance(inputs, tuple):
        output = model(*inputs)
    else:
        output = model(inputs)
    return getattr(output, "logits", output)


def _loop(model, inputs, labels, loss=F.cross_entropy, *, squared_by_name=False):
    """Norms by batch-1 backward passes of a float64 copy of `model` in inference mode."""
    if any(p.dtype != torch.float64 for p in model.parameters()):
        model = copy.deepcopy(model).double()
    model.eval()
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    rows = []
    for i in range(len(labels)):

        def pick(t, i=i):
            if not isinstance(t, torch.Tensor):
                return t
            t = t[i : i + 1] if t.ndim and len(t) == len(labels) else t
            return t.double() if t.is_floating_point() else t

        model.zero_grad(set_to_none=True)
        loss(_call(model, tree_map(pick, inputs)), labels[i : i + 1]).sum().backward()
        grads = [p.grad for p in model.parameters() if p.requires_grad]
        grads = [g.to_dense() if g is not None and g.is_sparse else g for g in grads]
        rows.append([0.0 if g is None else float(g.square().sum()) for g in grads])
    model.zero_grad(set_to_none=True)
    squared = torch.tensor(rows, dtype=torch.float64)
    if squared_by_name:
        return dict(zip(names, squared.T, strict=True))
    return squared.sum(1).sqrt()


@pytest.fixture(scope="session")
def loop():
    return _loop
