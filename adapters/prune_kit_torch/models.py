"""Built-in models: the paper's SimpleCNN and low-resolution ResNets, a small CNN and an MLP."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from prune_kit.errors import PruneKitError

from .sources import Source, as_source


def small_cnn(channels: int, num_classes: int, width: int = 16) -> nn.Module:
    """Two convolutions and a linear layer, for images of a few pixels such as the embedded digits."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(4),
        nn.Flatten(),
        nn.Linear(2 * width * 16, num_classes),
    )


def simple_cnn(channels: int, num_classes: int, widths: Sequence[int] = (32, 64, 128)) -> nn.Module:
    """The paper's SimpleCNN: per width a convolution and one of stride 2, then the mean over positions.

    Padding is "same" as JAX and TensorFlow have it: with stride 2 it is one pixel more below and right.
    """
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        layers += [SameConv2d(width, width, 3, stride=2), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))


class SameConv2d(nn.Conv2d):
    """A convolution whose strided output has ceil(size / stride) positions, the odd pixel padded last."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve images of shape (b, channels, height, width)."""
        padding: list[int] = []
        for size, kernel, stride in zip(
            input.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            padding += [total // 2, total - total // 2]
        return super().forward(F.pad(input, padding))


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with BatchNorm beside a shortcut (He et al. 2016)."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_norm(channels, width, 3, stride), nn.ReLU(inplace=True), *_conv_norm(width, width, 3, 1)
        )
        self.shortcut = _shortcut(channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Images of shape (b, channels, height, width)."""
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions with BatchNorm beside a shortcut (He et al. 2016)."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        wide = width * self.expansion
        self.body = nn.Sequential(
            *_conv_norm(channels, width, 1, 1),
            nn.ReLU(inplace=True),
            *_conv_norm(width, width, 3, stride),
            nn.ReLU(inplace=True),
            *_conv_norm(width, wide, 1, 1),
        )
        nn.init.zeros_(self.body[-1].weight)  # type: ignore[arg-type]  # each block begins as its shortcut
        self.shortcut = _shortcut(channels, wide, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Images of shape (b, channels, height, width)."""
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


def resnet(
    block: type[BasicBlock] | type[Bottleneck],
    blocks: Sequence[int],
    channels: int,
    num_classes: int,
    width: int = 64,
) -> nn.Module:
    """A ResNet for images of about 32 pixels: a 3 x 3 stem of stride 1 and no first pooling."""
    layers: list[nn.Module] = [*_conv_norm(channels, width, 3, 1), nn.ReLU(inplace=True)]
    channels = width
    for stage, number in enumerate(blocks):
        for i in range(number):
            layers.append(block(channels, width * 2**stage, stride=2 if stage and not i else 1))
            channels = width * 2**stage * block.expansion
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))


def mlp(size: int, num_classes: int, widths: Sequence[int] = (512, 512)) -> nn.Module:
    """Linear layers with ReLU between them, on inputs flattened to (b, size)."""
    layers: list[nn.Module] = [nn.Flatten()]
    for width in widths:
        layers += [nn.Linear(size, width), nn.ReLU()]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, num_classes))


def _conv_norm(channels: int, width: int, kernel: int, stride: int) -> tuple[nn.Module, nn.Module]:
    conv = nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(width)


def _shortcut(channels: int, width: int, stride: int) -> nn.Module:
    if stride == 1 and channels == width:
        return nn.Identity()
    return nn.Sequential(*_conv_norm(channels, width, 1, stride))


_IMAGE_MODELS: dict[str, Callable[[int, int], nn.Module]] = {
    "small-cnn": small_cnn,
    "simple-cnn": simple_cnn,
    "resnet18": lambda channels, classes: resnet(BasicBlock, (2, 2, 2, 2), channels, classes),
    "resnet50": lambda channels, classes: resnet(Bottleneck, (3, 4, 6, 3), channels, classes),
}
MODELS = (*_IMAGE_MODELS, "mlp")


def built_in_model(name: str, data: Any, /) -> Callable[[], nn.Module]:
    """What makes a built-in model that fits some data.

    Parameters
    ----------
    name
        One of `MODELS`: small-cnn, simple-cnn, resnet18, resnet50, mlp.
    data
        As for `predict`. The shape of its first example and its largest label (or the number of soft
        labels) give the model's size.

    Returns
    -------
    callable
        Makes a new model each time, with weights drawn from torch's global generator.

    Raises
    ------
    PruneKitError
        If there is no such model, or it takes images and the examples are none.

    Examples
    --------
    >>> import torch
    >>> make_model = built_in_model("mlp", (torch.zeros(2, 64), torch.tensor([0, 9])))
    >>> sum(p.numel() for p in make_model().parameters())
    301066
    """
    if name not in MODELS:
        raise PruneKitError(
            f"there is no built-in model {name!r}; the models are {', '.join(MODELS)}.",
            hint="your own model is package.module:attribute",
        )
    shape, num_classes = _shape_and_classes(as_source(data))
    if name == "mlp":
        return lambda: mlp(math.prod(shape), num_classes)
    if len(shape) != 3:
        raise PruneKitError(
            f"the model {name} takes images (channels, height, width); an example has shape {shape}.",
            hint="use the model mlp for feature vectors",
        )
    make = _IMAGE_MODELS[name]
    return lambda: make(shape[0], num_classes)


def _shape_and_classes(source: Source) -> tuple[tuple[int, ...], int]:
    shape: tuple[int, ...] | None = None
    num_classes = 0
    for _, inputs, labels in source.ordered(None):
        if not isinstance(inputs, Tensor):
            raise PruneKitError(
                f"built-in models take one tensor; an example of the data is {type(inputs).__name__}.",
                hint="give your own model as package.module:attribute",
            )
        shape = shape or tuple(inputs.shape[1:])
        num_classes = max(num_classes, labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1)
    if shape is None or num_classes < 2:
        raise PruneKitError(f"the labels must have 2 classes or more; got {num_classes}.")
    return shape, num_classes
