"""Pictures of report.html for the README: light, dark and on a phone.

    pip install playwright && python scripts/screenshots.py

Runs `dupdetect dedupe` on data/support_questions.csv and opens the report in an installed chromium (`apt-get install
chromium`). Writes scripts/pictures/*.png, each of a fixed size in pixels and at most 150 kB.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ledger import ROOT
from playwright.sync_api import Browser, sync_playwright

PICTURES = ROOT / "scripts" / "pictures"
SAMPLE = "data/support_questions.csv"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
LARGEST = 150_000
WIDE, PHONE = {"width": 960, "height": 720}, {"width": 390, "height": 844}
# Name, colours, window, the part of the page at its top, and how many clusters are open.
VIEWS: tuple[tuple[str, str, Any, str, int], ...] = (
    ("report-light.png", "light", WIDE, "header", 0),
    ("report-dark.png", "dark", WIDE, "#clusters", 1),
    ("report-phone.png", "light", PHONE, "#cluster-list", 1),
)


def main() -> None:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise SystemExit(f"There is no browser ({', '.join(BROWSERS)}). Install one: apt-get install chromium")
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = Path(scratch, "support_questions.dupdetect")
        command = [sys.executable, "-m", "dupdetect", "dedupe", SAMPLE, "-o", str(folder)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        browser = playwright.chromium.launch(executable_path=program)
        for view in VIEWS:
            print(*picture(browser, folder / "report.html", *view))
        browser.close()


def picture(
    browser: Browser, report: Path, name: str, colours: Any, window: Any, top: str, opened: int
) -> tuple[str, int]:
    """Take one picture; return its name and its size in bytes."""
    page = browser.new_page(color_scheme=colours, viewport=window, reduced_motion="reduce")
    page.goto(report.as_uri())
    page.evaluate(
        "number => [...document.querySelectorAll('.cluster details')].slice(0, number)"
        ".forEach(one => { one.open = true })",
        opened,
    )
    page.locator(top).evaluate("part => part.scrollIntoView()")
    page.screenshot(path=PICTURES / name)
    page.close()
    size = (PICTURES / name).stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{name} has {size:,} bytes, and at most {LARGEST:,} are wanted. Make its window smaller.")
    return name, size


if __name__ == "__main__":
    main()
