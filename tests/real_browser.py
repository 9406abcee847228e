"""Pages in a real browser: Debian's chromium, driven by Playwright. Where one of them is missing these tests skip."""

import shutil
from contextlib import contextmanager

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Opened:
    """A page that was opened, what its console said, and what was asked for over any network or disk."""

    def __init__(self, page):
        self.page, self.complaints, self.requests = page, [], []
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))


@pytest.fixture(scope="module")  # Playwright keeps an event loop running in its thread, where others want their own
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"needs a browser, one of {', '.join(BROWSERS)}: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program)
        yield started
        started.close()


@pytest.fixture
def opened(browser):
    """Return a context manager that opens a file or an address, with the options of a browser context."""

    @contextmanager
    def open_it(place, **options):
        context = browser.new_context(**options)
        try:
            found = Opened(context.new_page())
            found.page.goto(place if isinstance(place, str) else place.resolve().as_uri())
            yield found
        finally:
            context.close()

    return open_it


@pytest.fixture
def faults():
    """Return what axe finds of serious and critical faults in a page, a line each."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs axe-playwright-python: pip install axe-playwright-python"
    )

    def run(page):
        violations = axe.Axe().run(page).response["violations"]
        return [
            f"{fault['id']}: {fault['help']}: {node['html'][:200]}"
            for fault in violations
            for node in fault["nodes"]
            if fault["impact"] in ("serious", "critical")
        ]

    return run
