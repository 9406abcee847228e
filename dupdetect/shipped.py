"""The detectors that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

__all__ = ["NAMES", "SHIPPED", "Tier"]

Tier = Literal["default", "fast"]
SHIPPED: dict[Tier, Path] = {
    "default": Path(__file__).parent / "pretrained",
    "fast": Path(__file__).parent / "pretrained_fast",
}
"""Their folders by tier, which is what --model calls them, too."""
NAMES: dict[str, Tier] = {f"dupdetect-{tier}": tier for tier in SHIPPED}
"""Their tiers by the name that each has."""
