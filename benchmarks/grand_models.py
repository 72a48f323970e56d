"""The networks that gradient norms are measured on: ordinary ones, written with ordinary layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))


def simple_cnn() -> nn.Module:
    layers: list[nn.Module] = []
    width = 3
    for channels in (32, 64, 128):
        layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU()]
        layers += [nn.Conv2d(channels, channels, 3, stride=2, padding=1), nn.ReLU()]
        width = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = norm(outputs)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        return self.relu2(y + self.shortcut(x))  # type: ignore[no-any-return]


def resnet18(norm: Callable[[int], nn.Module] = nn.BatchNorm2d) -> nn.Module:
    """ResNet-18 for 32 x 32 pixels: a 3 x 3 stem without pooling."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, padding=1, bias=False), norm(64), nn.ReLU()]
    width = 64
    for channels, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Block(width, channels, stride, norm), Block(channels, channels, 1, norm)]
        width = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def resnet18_groupnorm() -> nn.Module:
    return resnet18(lambda channels: nn.GroupNorm(8, channels))


class VitBlock(nn.Module):
    def __init__(self, width: int, heads: int, *, fused: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.heads = heads
        if fused:
            self.attention: nn.Module = nn.MultiheadAttention(width, heads, batch_first=True)
        else:
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fused = fused
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def attend(self, x: Tensor) -> Tensor:
        if self.fused:
            return self.attention(x, x, x, need_weights=False)[0]  # type: ignore[no-any-return]
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class Vit(nn.Module):
    def __init__(
        self, *, fused: bool, width: int = 192, heads: int = 3, depth: int = 6, patch: int = 4,
        pixels: int = 32, classes: int = 10,
    ) -> None:  # fmt: skip
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, (pixels // patch) ** 2 + 1, width) * 0.02)
        self.blocks = nn.Sequential(*(VitBlock(width, heads, fused=fused) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])  # type: ignore[no-any-return]


class TextLstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5000, 128)
        self.lstm = nn.LSTM(128, 256, batch_first=True)
        self.head = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(self.table(x))[0][:, -1])  # type: ignore[no-any-return]


class TextMean(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(5000, 128), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.table(x).mean(1))  # type: ignore[no-any-return]


def depthwise() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, padding=1), nn.GroupNorm(8, 32), nn.ReLU()]
    width = 32
    for channels, stride in ((64, 1), (128, 2), (128, 1), (256, 2)):
        layers += [nn.Conv2d(width, width, 3, stride, 1, groups=width), nn.GroupNorm(8, width), nn.ReLU()]
        layers += [nn.Conv2d(width, channels, 1), nn.GroupNorm(8, channels), nn.ReLU()]
        width = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


@dataclass(frozen=True)
class Task:
    """A network, its batch size, and the ratio to plain that is to be reached on one thread."""

    make: Callable[[], nn.Module]
    batch: int
    inputs: Callable[[int], Tensor]
    target: float | None = None


def _images(b: int) -> Tensor:
    return torch.randn(b, 3, 32, 32)


def _words(b: int) -> Tensor:
    return torch.randint(0, 5000, (b, 32))


TASKS = {
    "mlp": Task(mlp, 256, lambda b: torch.randn(b, 784), 0.9),
    "resnet18": Task(resnet18, 32, _images, 1.0),
    "resnet18-groupnorm": Task(resnet18_groupnorm, 32, _images),
    "simple-cnn": Task(simple_cnn, 128, _images, 1.3),
    "vit-mha": Task(lambda: Vit(fused=True), 32, _images, 1.15),
    "vit-linear": Task(lambda: Vit(fused=False), 32, _images),
    "lstm": Task(TextLstm, 64, _words, 1.6),
    "embedding": Task(TextMean, 256, _words),
    "depthwise": Task(depthwise, 64, _images, 1.5),
}
