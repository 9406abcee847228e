"""report.html in a browser: it opens from disk without a complaint or a request, and its search and filters work."""

import numpy as np
import polars as pl
import pytest

from dupdetect import Detector
from dupdetect.guards import Guards

pytest_plugins = ["real_browser"]

HOSTILE = {
    "script": "<script>document.title = 'run'</script> a b c d e",
    "end": "</script></style></details><h1>broken</h1> a b c d e",
    "image": "<img src=https://example.invalid/x onerror=\"document.title='run'\"> f g h i",
    "quotes": '"\' onfocus=alert(1) autofocus x="` {{ 7 * 7 }} j k l m',
    "right to left": "\u202eevil\u202c \u2067mirror \u202e n o p q r",
    "long": "W" * 900 + " s t u v",
    "ampersands": "&lt;b&gt; &amp;amp; &#60;script&#62; w x y z",
}


@pytest.fixture
def folder(encoder, calibration, tmp_path):
    """Some hostile clusters, and 60 plain ones of 2 to 4 rows; pairs that are ruled out, and weak links."""
    rows = {f"{name}{end}": text + end for name, text in HOSTILE.items() for end in (" one", " two")}
    for number in range(60):
        shared = " ".join(f"w{number}x{word}" for word in range(5 if number % 2 else 4))
        for copy in range(2 + number % 3):
            rows[f"id{number}-{copy}"] = shared + "".join(
                f" o{number}x{copy}x{own}" for own in range(1 + number % 2 * 2)
            )
    rows |= {"n1": "error code 403 on the page", "n2": "error code 404 on the page"}
    detector = Detector(encoder, calibration, guards=Guards(0.3)).at(threshold=0.45)
    frame = pl.DataFrame({"text": list(rows.values()), "id": list(rows)})
    return detector.deduplicate(frame, text="text", id="id").write(tmp_path / "out")


def expect(locator):
    from playwright.sync_api import expect as expected  # need not be there

    return expected(locator)


def visible(page):
    return page.locator(".cluster:visible")


def test_it_opens_from_disk_without_a_complaint_or_a_request(opened, folder):
    with opened(folder / "report.html", viewport={"width": 1200, "height": 900}) as report:
        page = report.page
        page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
        assert report.complaints == []
        assert report.requests == [(folder / "report.html").resolve().as_uri()]
        assert page.locator("h1").count() == 1
        page.fill("#words", "evil")
        expect(visible(page)).to_have_count(1)
        assert page.title().startswith("Duplicates in ")


def test_hostile_texts_are_shown_as_they_are_and_do_not_widen_the_page(opened, folder):
    with opened(folder / "report.html", viewport={"width": 390, "height": 800}) as report:
        page = report.page
        page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
        shown = "\n".join(page.locator("#cluster-list .text").all_text_contents())
        for text in HOSTILE.values():
            assert text in shown
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_search_filters_and_order(opened, folder):
    with opened(folder / "report.html") as report:
        page = report.page
        total = page.locator(".cluster").count()
        assert total > 60
        assert visible(page).count() == 50
        page.get_by_role("button", name="Show").click()
        assert visible(page).count() == min(100, total)
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"

        page.get_by_label("Search texts and ids").fill("W7X2 w7x3")
        expect(visible(page)).to_have_count(1)
        assert page.get_by_role("status").inner_text() == f"1 of {total} clusters match; 1 listed."
        page.get_by_label("Search texts and ids").fill("id8-1")
        expect(page.locator(".cluster:visible .text").first).to_contain_text("w8x0")
        page.get_by_label("Search texts and ids").fill("nothing has this")
        expect(visible(page)).to_have_count(0)
        assert "None of the" in page.get_by_role("status").inner_text()
        page.get_by_label("Search texts and ids").fill("")
        expect(visible(page)).to_have_count(50)

        page.get_by_label("Size").select_option("3")
        sizes = visible(page).evaluate_all("all => all.map(one => Number(one.dataset.size))")
        assert sizes
        assert min(sizes) >= 3
        page.get_by_label("Size").select_option("2")
        page.get_by_label("Order").select_option("size")
        sizes = visible(page).evaluate_all("all => all.map(one => Number(one.dataset.size))")
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] > sizes[-1]
        page.get_by_label("Doubtful only").check()
        doubtful = page.locator(".cluster[data-doubtful]").count()
        assert visible(page).count() == min(50, doubtful)
        assert 0 < doubtful < total


def test_without_javascript_everything_is_there(opened, folder):
    with opened(folder / "report.html", java_script_enabled=False) as report:
        page = report.page
        assert visible(page).count() == page.locator(".cluster").count() > 60
        assert not page.locator("form").is_visible()
        assert not page.get_by_role("button").count()
        page.locator(".cluster summary").first.click()
        assert page.locator(".cluster .text").first.is_visible()
        assert "need JavaScript" in page.locator("noscript").first.inner_text()


def test_the_keyboard_reaches_everything(opened, folder):
    with opened(folder / "report.html") as report:
        page = report.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the clusters"
        assert page.locator(".skip").bounding_box()["y"] >= 0
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "words"
        for _ in range(4):
            page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
        page.keyboard.press("Enter")
        assert page.locator(".cluster details[open]").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(opened, folder, faults, scheme):
    with opened(folder / "report.html", color_scheme=scheme) as report:
        page = report.page
        page.locator("details").evaluate_all("all => all.slice(0, 15).forEach(one => { one.open = true })")
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (np.mean([int(part) for part in background[4:-1].split(",")]) > 200) == (scheme == "light")
        assert faults(page) == []


def test_a_command_is_copied(opened, folder):
    with opened(folder / "report.html", permissions=["clipboard-read", "clipboard-write"]) as report:
        page = report.page
        page.get_by_role("button", name="Copy").first.click()
        page.get_by_role("button", name="Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == page.locator("pre").first.inner_text()
