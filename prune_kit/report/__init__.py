"""A report that people look at: one HTML file of a run or of a file of scores, which needs no network."""

from __future__ import annotations

from .write import ReportSummary, write_report

__all__ = ["ReportSummary", "write_report"]
