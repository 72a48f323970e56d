"""Random crops and mirror images of a batch, on its device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from prune_kit.training import Augmentation


def augment(images: Tensor, kind: Augmentation) -> Tensor:
    """Crop (and flip) each image of a batch at random, as in the paper's recipe.

    Parameters
    ----------
    images
        Shape (b, channels, height, width), standardised: the padding is zeros.
    kind
        "none"; "crop": pad each side by an eighth (4 of 32 pixels) and cut the size out at a random
        place; "crop-flip": and mirror half of the images left to right.

    Returns
    -------
    Tensor
        Shape and dtype of `images`. Draws from torch's global generator.
    """
    if kind == "none":
        return images
    b, _, height, width = images.shape
    pad_y, pad_x = max(1, height // 8), max(1, width // 8)
    padded = F.pad(images, (pad_x, pad_x, pad_y, pad_y))
    # Drawn on the CPU, so that every device trains on the same crops.
    top = torch.randint(2 * pad_y + 1, (b, 1)) + torch.arange(height)
    left = torch.randint(2 * pad_x + 1, (b, 1)) + torch.arange(width)
    if kind == "crop-flip":
        left = torch.where(torch.rand(b, 1) < 0.5, left, left.flip(1))
    rows, cols = top.to(images.device), left.to(images.device)
    which = torch.arange(b, device=images.device)
    # Advanced indices on both sides of a slice put the channels last.
    cropped = padded[which[:, None, None], :, rows[:, :, None], cols[:, None, :]]
    return cropped.permute(0, 3, 1, 2).contiguous()
