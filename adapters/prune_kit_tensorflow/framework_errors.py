"""What TensorFlow and Keras say in many lines and colours, in one line."""

from __future__ import annotations

import re

import tensorflow as tf

from prune_kit.errors import told

_BOLD = re.compile(r"\x1b\[1m(.*?)\x1b\[0m", re.DOTALL)
_PREFIX = re.compile(r"^\{\{function_node .*?\}\} ")
# Lines around the one that says what is wrong.
_NOISE = re.compile(
    r"$|Graph execution error|Detected at node|File \"|Traceback|\[\[|\d+ root error|\(\d+\) "
)


def shortly_told(error: BaseException) -> str:
    """The name of an exception and what it says, without the places inside the frameworks."""
    text = str(error)
    if isinstance(error, tf.errors.OpError):
        lines = [_PREFIX.sub("", line.strip()) for line in str(error.message).splitlines()]
        said = next((line for line in lines if not _NOISE.match(line)), "")
    elif in_bold := _BOLD.search(text):  # Keras puts its own words and the arguments around it
        said = " ".join(in_bold[1].split())
    else:
        return told(error)
    return f"{type(error).__name__}: {said}".rstrip(".:")
