import jax
import numpy as np
import pytest
import torch

from prune_kit.errors import PruneKitError
from prune_kit_torch import MODELS, built_in_model
from prune_kit_torch.models import SameConv2d

IMAGES = (torch.zeros(2, 3, 32, 32), torch.tensor([0, 9]))


def parameters(name, data=IMAGES):
    return sum(p.numel() for p in built_in_model(name, data)().parameters())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Known sizes of the CIFAR variants of He et al.: 3x3 stem, projection shortcuts.
        ("resnet18", 11_173_962),
        ("resnet50", 23_520_842),
        # Per width: two convolutions with biases; then 128 features to 10 classes.
        ("simple-cnn", sum(9 * i * w + w + 9 * w * w + w for i, w in ((3, 32), (32, 64), (64, 128))) + 1290),
        ("mlp", 3072 * 512 + 512 + 512 * 512 + 512 + 5130),
    ],
)
def test_sizes(name, expected):
    assert parameters(name) == expected


@pytest.mark.parametrize("name", MODELS)
def test_every_model_gives_logits_and_new_weights_each_time(name):
    make = built_in_model(name, (torch.zeros(2, 1, 16, 16), torch.tensor([0, 4])))
    first, second = make(), make()
    assert first(torch.zeros(2, 1, 16, 16)).shape == (2, 5)
    assert not torch.equal(next(first.parameters()), next(second.parameters()))


@pytest.mark.parametrize("size", [5, 6, 8, 9])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_is_that_of_jax(size, stride):
    torch.manual_seed(0)
    layer = SameConv2d(2, 3, 3, stride=stride)
    x = torch.randn(2, 2, size, size + 1)
    expected = jax.lax.conv_general_dilated(
        x.numpy(), layer.weight.detach().numpy(), (stride, stride), "SAME"
    ) + layer.bias.detach().numpy().reshape(1, -1, 1, 1)
    np.testing.assert_allclose(layer(x).detach().numpy(), np.asarray(expected), rtol=1e-4, atol=1e-5)


def test_soft_labels_give_the_number_of_classes():
    data = (torch.zeros(2, 4), torch.full((2, 7), 1 / 7))
    assert built_in_model("mlp", data)()(torch.zeros(1, 4)).shape == (1, 7)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("resnet19", IMAGES, "there is no built-in model 'resnet19'; the models are"),
        ("resnet18", (torch.zeros(2, 4), torch.tensor([0, 1])), "takes images"),
        ("mlp", (torch.zeros(2, 4), torch.tensor([0, 0])), "2 classes or more"),
    ],
)
def test_models_that_cannot_be_made(name, data, message):
    with pytest.raises(PruneKitError, match=message):
        built_in_model(name, data)
