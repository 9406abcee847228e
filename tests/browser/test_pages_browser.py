"""The pages in a browser: type, pick, split, review ten pairs, undo, recalibrate, see the certificate change."""

import shutil
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn

from dupdetect import Detector, QuestionIndex
from dupdetect.review import ReviewStore
from dupdetect.review.candidates import Candidates
from dupdetect.review.store import labels_beside
from dupdetect.service import Service, create_app
from dupdetect.service.listening import bind
from dupdetect.service.pages.answers import AnswerStore, Counts, answers_beside
from dupdetect.service.pages.reviewing import calibrated_beside

pytest_plugins = ["real_browser"]

WAYS = ("how do i {}", "how can i {}", "{} how does that work", "please help me {}", "where do i {}", "i want to {}")
WHAT = ("reset my password", "cancel my order", "change my address", "delete the account", "pay by invoice")
TEXTS = [way.format(what) for what in WHAT for way in WAYS]
HOSTILE = '<img src=x onerror="document.title=1"> & "quoted"'
PHONE = {"viewport": {"width": 390, "height": 800}}


def expect(locator):
    from playwright.sync_api import expect as expected  # need not be there

    return expected(locator)


@contextmanager
def running(app):
    """Serve an application in a thread; yield its address."""
    with bind("127.0.0.1", 0) as bound:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            deadline = time.monotonic() + 30
            while not server.started:
                assert thread.is_alive()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An index, and what `dedupe` writes, by the fast tier."""
    place, fast = tmp_path_factory.mktemp("made"), Detector.from_pretrained(tier="fast")
    with QuestionIndex.create(place / "known", fast) as index:
        index.add([*TEXTS, HOSTILE], ids=[f"q{number}" for number in range(len(TEXTS) + 1)])
    fast.deduplicate(TEXTS).write(place / "export.dupdetect")
    return place


@pytest.fixture
def export(made, tmp_path):
    return shutil.copytree(made / "export.dupdetect", tmp_path / "export.dupdetect")


@pytest.fixture
def known(made, tmp_path):
    return shutil.copytree(made / "known", tmp_path / "known")


@pytest.fixture
def address(known, export):
    with running(create_app(Service(QuestionIndex.open(known), reviews=export))) as found:
        yield found


def test_type_and_pick(opened, address, known):
    with opened(f"{address}/") as ask:
        page = ask.page
        page.get_by_label("Your question").press_sequentially("how to reset my password")
        expect(page.locator(".hits > li")).to_have_count(5)
        expect(page.locator(".hits > li").first).to_contain_text("reset my password")
        for place in (page.locator("#matches h2"), page.get_by_role("status")):
            expect(place).to_have_text("5 known questions seem to ask the same")
        page.get_by_label("Your question").fill(HOSTILE)
        expect(page.locator(".hits .text").first).to_have_text(HOSTILE)
        page.get_by_label("Your question").fill("")
        expect(page.locator(".hits")).to_have_count(0)
        page.get_by_label("Your question").fill("please cancel my order")
        expect(page.locator(".hits .text").first).to_contain_text("cancel my order")
        chosen = page.locator(".hits bdi").first.inner_text()
        page.get_by_role("button", name="Yes, that is my question").first.click()
        expect(page.get_by_role("heading", name="Thank you, that is recorded")).to_be_visible()
        expect(page.locator(".notice")).to_contain_text(chosen)
        expect(page.locator("footer")).to_contain_text("1 found their question, 0 found none")
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("heading", name="Taken back")).to_be_visible()
        page.get_by_label("Your question").fill("something else")
        page.get_by_role("button", name="None of these").click()
        expect(page.locator("footer")).to_contain_text("0 found their question, 1 found none")
        assert AnswerStore(answers_beside(known)).counts() == Counts(found=0, none=1)
        assert ask.complaints == []
        assert all(url.startswith(f"{address}/") for url in ask.requests)


def test_the_answer_to_the_last_key_stays(opened, address):
    """Answers that come late are not shown."""
    with opened(f"{address}/") as ask:
        page = ask.page
        slow = []

        def hold(route):
            if route.request.method == "POST" and "password" in route.request.post_data:
                slow.append(route)
            else:
                route.continue_()

        page.route("**/", hold)
        page.get_by_label("Your question").fill("reset my password")
        page.wait_for_timeout(400)
        assert len(slow) == 1
        page.get_by_label("Your question").fill("pay by invoice")
        expect(page.locator(".hits .text").first).to_contain_text("pay by invoice")
        text = page.locator("#matches").inner_text()
        slow[0].continue_()
        page.wait_for_timeout(200)
        assert page.locator("#matches").inner_text() == text


def test_a_service_that_is_gone_is_told(opened, address):
    with opened(f"{address}/") as ask:
        ask.page.route("**/", lambda route: route.abort())
        ask.page.get_by_label("Your question").fill("reset my password")
        expect(ask.page.locator("#matches")).to_have_text("The service does not answer. Is it still running?")


def test_everything_works_without_javascript(opened, address, export):
    with opened(f"{address}/", java_script_enabled=False) as ask:
        page = ask.page
        page.get_by_label("Your question").fill("reset my password")
        page.get_by_role("button", name="Find").click()
        assert page.get_by_label("Your question").input_value() == "reset my password"
        page.get_by_role("button", name="Yes, that is my question").first.click()
        assert page.get_by_role("heading", name="Thank you, that is recorded").is_visible()
        page.get_by_role("link", name="Review").click()
        page.get_by_role("button", name="No, different").click()
        assert "1 of " in page.locator(".progress").inner_text()
        page.get_by_role("button", name="Undo the last label").click()
        assert "0 of " in page.locator(".progress").inner_text()
        assert not page.get_by_label("Answer with the keys").is_visible()


def test_split_and_undo(opened, address, known):
    def apart():
        with QuestionIndex.open(known) as index:
            return index.counts["told_apart"]

    with opened(f"{address}/clusters") as shown:
        page = shown.page
        page.locator(".list a").first.click()
        expect(page.locator(".members > li").first).to_contain_text("stays")
        page.get_by_role("button", name="are not the same question").first.click()
        expect(page.get_by_role("heading", name="Told apart")).to_be_visible()
        assert apart() == 1
        page.locator(".notice").get_by_role("button", name="Undo").click()
        expect(page.get_by_role("heading", name="Told apart")).to_have_count(0)
        assert apart() == 0
        assert shown.complaints == []


def test_merge_choose_and_take_back(opened, address, known):
    def decisions():
        with QuestionIndex.open(known) as index:
            return index.counts["merged"], index.counts["survivors"]

    with opened(f"{address}/clusters") as shown:
        page = shown.page
        page.get_by_label("Id of one question").fill("q0")
        page.get_by_label("Id of the other").fill(f"q{len(TEXTS)}")
        page.get_by_role("button", name="Merge them").click()
        expect(page.get_by_role("heading", name="Merged", exact=True)).to_be_visible()
        member = page.locator(".members > li", has_text=HOSTILE)
        expect(member).to_contain_text("merged by a person (measured similarity")
        assert decisions() == (1, 0)
        member.get_by_role("button", name="stay").click()
        expect(page.get_by_role("heading", name="Chosen to stay")).to_be_visible()
        expect(page.locator(".members > li", has_text=HOSTILE)).to_contain_text("stays, as chosen")
        expect(page.locator(".members > li.removed", has_text=TEXTS[0])).to_have_count(1)
        expect(page.get_by_role("heading", name="Merged by a person")).to_be_visible()
        assert decisions() == (1, 1)
        page.locator(".notice").get_by_role("button", name="Undo").click()
        expect(page.get_by_role("heading", name="Chosen to stay")).to_have_count(0)
        page.get_by_role("button", name="were merged").click()
        expect(page.get_by_role("heading", name="Merged by a person")).to_have_count(0)
        assert decisions() == (0, 0)
        assert shown.complaints == []


def label_the_rest(export):
    drawn = Candidates.read(export / "candidates.csv")
    with ReviewStore(labels_beside(export)) as store:
        mine = store.labels_by("ana")
        for key, left, right in zip(drawn.key, drawn.left_row.tolist(), drawn.right_row.tolist(), strict=True):
            if key not in mine:
                same = left // len(WAYS) == right // len(WAYS)
                store.record(key, "duplicate" if same else "different", "ana")
    return len(drawn)


def test_review_ten_pairs_undo_recalibrate_and_see_the_certificate_change(opened, address, export):
    drawn = Candidates.read(export / "candidates.csv")

    def mine():
        with ReviewStore(labels_beside(export)) as store:
            return store.labels_by("ana")

    with opened(f"{address}/review") as review:
        page = review.page
        page.get_by_label("Name of the reviewer").fill("ana")
        page.get_by_role("button", name="Go on like this").click()
        truth = [
            left // len(WAYS) == right // len(WAYS)
            for left, right in zip(drawn.left_row.tolist(), drawn.right_row.tolist(), strict=True)
        ]
        for number in range(10):
            expect(page.locator(".progress")).to_contain_text(f"{number} of {len(drawn)} pairs labelled by ana")
            expect(page.locator("#pair .text").first).to_have_text(drawn.left_text[number])
            expect(page.locator("#pair")).to_be_focused()
            page.keyboard.press("yn"[not truth[number]])
        expect(page.locator(".progress")).to_contain_text(f"10 of {len(drawn)}")
        page.keyboard.press("z")
        expect(page.locator(".progress")).to_contain_text(f"9 of {len(drawn)}")
        expect(page.locator("#pair .text").first).to_have_text(drawn.left_text[9])
        page.keyboard.press("u")
        expect(page.locator(".progress")).to_contain_text(f"10 of {len(drawn)}")
        assert mine() == {
            **{key: ("duplicate" if same else "different") for key, same in zip(drawn.key[:9], truth, strict=False)},
            drawn.key[9]: "unsure",
        }

        page.get_by_role("button", name="Recalibrate").click()
        expect(page.get_by_role("alert")).to_contain_text("labe")
        expect(page.locator(".certificate")).to_have_count(0)
        assert not calibrated_beside(export).exists()

        total = label_the_rest(export)
        page.get_by_label("Precision of at least").fill("0.6")
        page.get_by_role("button", name="Recalibrate").click()
        expect(page.locator(".certificate")).to_contain_text(
            "precision at least 0.6 with 95 % confidence among all pairs"
        )
        expect(page.locator(".certificate")).to_contain_text(f"from {total} labels")
        expect(page.locator("#worth .notice")).to_contain_text(str(calibrated_beside(export)))
        first = page.locator(".certificate li").first.inner_text()
        assert f"{Detector.from_pretrained(calibrated_beside(export)).calibration.threshold:.4f}" in first

        page.get_by_label("Precision of at least").fill("0.4")
        page.get_by_role("button", name="Recalibrate").click()
        expect(page.locator(".certificate")).to_contain_text("precision at least 0.4")
        page.get_by_label("Precision of at least").fill("0.999")
        page.get_by_role("button", name="Recalibrate").click()
        expect(page.get_by_role("alert")).to_contain_text("Cannot reach precision of at least 0.999")
        expect(page.locator(".certificate")).to_contain_text("of an earlier calibration")
        expect(page.locator(".certificate")).to_contain_text("precision at least 0.4")
        assert review.complaints == []


def test_a_key_pressed_twice_labels_one_pair(opened, address, export):
    with opened(f"{address}/review") as review:
        page = review.page
        page.evaluate(
            "for (const key of ['y', 'n', 'n']) document.body.dispatchEvent("
            "new KeyboardEvent('keydown', { key, bubbles: true }))"
        )
        expect(page.locator(".progress")).to_contain_text("1 of")
        with ReviewStore(labels_beside(export)) as store:
            assert list(store.labels_by("").values()) == ["duplicate"]


def test_keys_are_typed_into_fields_and_can_be_turned_off(opened, address, export):
    with opened(f"{address}/review") as review:
        page = review.page
        page.get_by_label("Name of the reviewer").press_sequentially("yuzn")
        page.get_by_label("Answer with the keys").uncheck()
        page.keyboard.press("y")
        page.reload()
        expect(page.get_by_label("Answer with the keys")).not_to_be_checked()
        page.keyboard.press("y")
        page.wait_for_timeout(200)
        expect(page.locator(".progress")).to_contain_text("0 of")
        page.get_by_label("Answer with the keys").check()
        page.keyboard.press("y")
        expect(page.locator(".progress")).to_contain_text("1 of")


def walk(page, address):
    """Go to each kind of page; yield its name."""
    page.goto(f"{address}/")
    page.get_by_label("Your question").fill("how do i reset the password")
    expect(page.locator(".hits > li")).to_have_count(5)
    yield "ask"
    page.get_by_role("button", name="Yes, that is").first.click()
    expect(page.locator(".notice")).to_be_visible()
    yield "answered"
    page.goto(f"{address}/clusters")
    yield "clusters"
    page.locator(".list a").first.click()
    expect(page.locator(".members")).to_be_visible()
    yield "cluster"
    page.get_by_role("button", name="stay").first.click()
    expect(page.locator(".notice")).to_be_visible()
    yield "chosen"
    page.get_by_label("Id of one question").fill("q0")
    page.get_by_label("Id of the other").fill(f"q{len(TEXTS)}")
    page.get_by_role("button", name="Merge them").click()
    expect(page.locator(".notice")).to_be_visible()
    yield "merged"
    page.goto(f"{address}/review")
    yield "review"
    page.get_by_role("button", name="Recalibrate").click()
    expect(page.get_by_role("alert")).to_be_visible()
    yield "refused"
    page.goto(f"{address}/clusters/nothing")
    yield "error"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_and_nothing_widens_a_phone(opened, address, faults, scheme):
    with opened(f"{address}/", color_scheme=scheme, **PHONE) as shown:
        for name in walk(shown.page, address):
            assert (name, faults(shown.page)) == (name, [])
            assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_the_keyboard_reaches_everything(opened, address):
    with opened(f"{address}/") as shown:
        page = shown.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "text"
        page.keyboard.type("reset my password")
        page.keyboard.press("Enter")
        expect(page.locator(".hits > li")).to_have_count(5)
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Yes, that is my question"
        page.keyboard.press("Enter")
        expect(page.locator(".notice")).to_be_visible()
