"""The page that shows a result: one HTML file that needs no network, with every text escaped.

Its one script searches, filters and orders what is there; everything can be read without it. The page allows its own
style sheet and script by their checksums, and nothing else.
"""

from __future__ import annotations

from dupdetect.report.page import render_report

__all__ = ["render_report"]
