"""Reviewing: which pairs to label, the labels, and what follows from them."""

from __future__ import annotations

from dupdetect.review.store import ReviewStore

__all__ = ["ReviewStore"]
