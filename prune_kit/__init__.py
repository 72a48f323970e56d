"""Find out which training examples matter: scores, seed averages, subsets and runs on disk."""

from __future__ import annotations
