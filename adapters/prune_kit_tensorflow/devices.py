"""Where to compute: names of devices as the command and the other adapters have them."""

from __future__ import annotations

import re

import tensorflow as tf

from prune_kit.errors import PruneKitError


def choose_device(device: str | None) -> str:
    """TensorFlow's name of `device`, or of the first GPU where there is one, else of the CPU.

    Parameters
    ----------
    device
        cpu, cuda or cuda:N; gpu and gpu:N are the same.

    Returns
    -------
    str
        "CPU:0" or "GPU:N", for `tf.device`.

    Raises
    ------
    PruneKitError
        If it is no device, or a GPU that cannot be had.
    """
    gpus = len(tf.config.list_logical_devices("GPU"))
    if device is None:
        return "GPU:0" if gpus else "CPU:0"
    match = re.fullmatch(r"(cpu|cuda|gpu)(?::(\d+))?", str(device).lower())
    if match is None or (match[1] == "cpu" and int(match[2] or 0) > 0):
        raise PruneKitError(f"`device` must be cpu, cuda or cuda:N; got {device!r}.")
    if match[1] == "cpu":
        return "CPU:0"
    if int(match[2] or 0) >= gpus:
        raise PruneKitError(
            f"`device` {device} cannot be had: TensorFlow sees {gpus} CUDA devices.",
            hint='use --device cpu, or TensorFlow with CUDA: pip install "tensorflow[and-cuda]"',
        )
    return f"GPU:{int(match[2] or 0)}"
