"""Lemma 2.2: what removing one example does to the others under gradient flow on the sum of losses."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.func import functional_call

from prune_kit_torch.gradients import gradient_norms


@pytest.mark.parametrize("removed", [0, 3])
def test_removing_an_example_changes_a_loss_rate_by_at_most_its_norm(removed):
    """With w' = -grad of the sum of losses, d loss_i / dt changes by <g_i, g_j> when example j is removed."""
    torch.manual_seed(removed)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 3)).double().eval()
    x, y = torch.randn(7, 2, 6, 6).double(), torch.randint(0, 3, (7,))
    weights = {name: p.detach() for name, p in model.named_parameters()}

    def losses(w):
        return F.cross_entropy(functional_call(model, w, x), y, reduction="none")

    def rates(training):
        """d losses / dt for all examples when the velocity is that of training on `training`."""
        total = F.cross_entropy(model(x[training]), y[training], reduction="sum")
        grads = torch.autograd.grad(total, list(model.parameters()))
        step = {name: -1e-5 * g for name, g in zip(weights, grads, strict=True)}
        ahead, behind = ({name: w + sign * step[name] for name, w in weights.items()} for sign in (1, -1))
        return (losses(ahead) - losses(behind)) / 2e-5

    everyone = torch.arange(7)
    change = rates(everyone[everyone != removed]) - rates(everyone)
    gradients = []
    for i in range(7):
        own = torch.autograd.grad(
            F.cross_entropy(model(x[i : i + 1]), y[i : i + 1]), list(model.parameters())
        )
        gradients.append(torch.cat([g.flatten() for g in own]))
    gradients = torch.stack(gradients)
    torch.testing.assert_close(change, gradients @ gradients[removed], rtol=1e-6, atol=1e-8)
    norms = gradient_norms(model, x, y)
    # The constant c of the lemma for example i is the norm of its own gradient.
    assert bool((change.abs() <= norms * norms[removed] * (1 + 1e-6)).all())
    torch.testing.assert_close(change[removed], norms[removed] ** 2, rtol=1e-6, atol=0)


def test_with_the_mean_of_the_losses_the_lemma_does_not_hold():
    """The mean also rescales every other example: the change is no longer the inner product with g_j."""
    torch.manual_seed(0)
    gradients = torch.randn(5, 11).double()
    full, without = -gradients.mean(0), -gradients[:4].mean(0)
    change = gradients[0] @ (without - full)
    inner = gradients[0] @ gradients[4]
    assert abs(float(change - inner / 5)) > 1e-3
