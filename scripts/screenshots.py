"""Pictures of report.html and of the pages of `dupdetect serve` for the README: light, dark and on a phone.

    pip install playwright && python scripts/screenshots.py

Runs `dupdetect dedupe`, `index add` and `serve` on data/support_questions.csv and opens their pages in an installed
chromium (`apt-get install chromium`). Writes scripts/pictures/*.png, each of a fixed size in pixels and at most 150 kB.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ledger import ROOT
from playwright.sync_api import Browser, Page, sync_playwright

PICTURES = ROOT / "scripts" / "pictures"
DUPDETECT = (sys.executable, "-m", "dupdetect")
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
# Name, colours, window, and the page; a question is typed into the first.
PAGES: tuple[tuple[str, str, Any, str], ...] = (
    ("ask-light.png", "light", WIDE, "/"),
    ("review-dark.png", "dark", WIDE, "/review"),
    ("clusters-phone.png", "light", PHONE, "/clusters"),
)
QUESTION = "how do i reset my password"


def main() -> None:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise SystemExit(f"There is no browser ({', '.join(BROWSERS)}). Install one: apt-get install chromium")
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = Path(scratch, "support_questions.dupdetect")
        index = Path(scratch, "support_questions.index")
        for verb in (["dedupe", SAMPLE, "-o", str(folder)], ["index", "add", str(index), SAMPLE]):
            subprocess.run([*DUPDETECT, *verb], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        browser = playwright.chromium.launch(executable_path=program)
        for view in VIEWS:
            print(*picture(browser, folder / "report.html", *view))
        with serving(index, folder) as address:
            for name, colours, window, path in PAGES:
                print(*page_picture(browser, address + path, name, colours, window))
        browser.close()


@contextmanager
def serving(index: Path, reviews: Path) -> Iterator[str]:
    """Serve an index and an export to review; yield the address."""
    command = [*DUPDETECT, "serve", str(index), "--port", "0", "--reviews", str(reviews)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            found = re.search(r"http://\S+", said)
            if found is None:
                raise SystemExit(f"The service did not start: {said}")
            yield found[0]
        finally:
            process.terminate()


def page_picture(browser: Browser, address: str, name: str, colours: Any, window: Any) -> tuple[str, int]:
    """Take one picture of a page of the service; return its name and its size in bytes."""
    page = browser.new_page(color_scheme=colours, viewport=window, reduced_motion="reduce")
    page.goto(address)
    if page.locator("#ask").count():
        page.locator("#text").fill(QUESTION)
        page.locator(".hits").wait_for()
    return taken(page, name)


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
    return taken(page, name)


def taken(page: Page, name: str) -> tuple[str, int]:
    """Take a picture of what a page shows, and close it."""
    page.screenshot(path=PICTURES / name)
    page.close()
    size = (PICTURES / name).stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{name} has {size:,} bytes, and at most {LARGEST:,} are wanted. Make its window smaller.")
    return name, size


if __name__ == "__main__":
    main()
