"""Figures for papers and notebooks, drawn by matplotlib, which is imported when the first one is drawn.

Every function takes what the kit computed and gives a `matplotlib.figure.Figure`; `save_figure` writes it.
Higher = harder, on every axis of scores. A notebook shows the figures after `%matplotlib inline`.
"""

from __future__ import annotations

from .accuracy import accuracy
from .barrier import barrier
from .distribution import distribution
from .epochs import epochs
from .gallery import gallery
from .kept_curve import kept_curve
from .save import figure_kind, save_figure
from .velocity import velocity

__all__ = [
    "accuracy",
    "barrier",
    "distribution",
    "epochs",
    "figure_kind",
    "gallery",
    "kept_curve",
    "save_figure",
    "velocity",
]
