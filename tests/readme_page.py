"""The README, as the tests read it: its sections, and the blocks in them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PATH = "From an export to answers"
"""The section whose blocks are one path, run from its first to its last by test_readme_path.py."""

_NUMBER = re.compile(r"\d[\d,.]*\d|\d")


def section(title):
    """Return what stands between a heading of the second level and the next."""
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    return found


def blocks(language, page=None):
    """Return the blocks of a language on a page, by default in all of the README but the path."""
    page = README.replace(section(PATH), "") if page is None else page
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def assert_printed(shown, printed):
    """Word for word; the counts within 3 %, because another processor rounds the 8-bit products differently."""
    shown, printed = shown.strip(), printed.strip()
    assert _NUMBER.sub("N", printed) == _NUMBER.sub("N", shown)
    for now, then in zip(_NUMBER.findall(printed), _NUMBER.findall(shown), strict=True):
        assert float(now.replace(",", "")) == pytest.approx(float(then.replace(",", "")), rel=0.03, abs=2)
