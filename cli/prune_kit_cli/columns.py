"""Text measured in the columns of a terminal: wide characters take two, combining ones none."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable

WIDTH = 80
"""Lines for people are no wider."""
_KEY = 10


def width_of(text: str) -> int:
    """How many columns `text` takes."""
    return sum(_columns(character) for character in text)


def plain(text: str) -> str:
    """`text` without what moves the cursor or hides: line breaks and tabs as spaces, controls as "?"."""
    spaced = " ".join(text.split())
    return "".join("?" if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Co") else each for each in spaced)


def shortened(text: str, most: int) -> str:
    """`text` on one line of up to `most` columns; of long ones the end, which tells paths apart."""
    text = plain(text)
    if width_of(text) <= most:
        return text
    start = len(text)
    left = most - 3
    while left >= (wide := _columns(text[start - 1])):
        left -= wide
        start -= 1
    return f"...{text[start:]}"


def right_aligned(text: str, width: int) -> str:
    """`text` with spaces before it, `width` columns in all."""
    return " " * (width - width_of(text)) + text


def field(key: str, value: object) -> list[str]:
    """A line "  key       value", and more below it where the value is long."""
    room = WIDTH - _KEY - 2
    lines = [""]
    for word in plain(str(value)).split(" "):
        piece = shortened(word, room)
        if lines[-1] and width_of(lines[-1]) + 1 + width_of(piece) > room:
            lines.append(piece)
        else:
            lines[-1] = f"{lines[-1]} {piece}".strip()
    keys = [f"{key:{_KEY}}", *[" " * _KEY] * (len(lines) - 1)]
    return [f"  {name}{line}" for name, line in zip(keys, lines, strict=True)]


def wrapped(lines: Iterable[str]) -> list[str]:
    """Sentences, cut between words where they are too long; what goes on is indented."""
    return [piece for line in lines for piece in textwrap.wrap(line, WIDTH, subsequent_indent="  ")]


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
