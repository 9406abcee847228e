"""Small services for the tests: an encoder without a model, and questions that guards and reviewers have a say in."""

import asyncio
import functools
import threading

from conftest import HashingEncoder, labelled_pairs
from fastapi.testclient import TestClient

from dupdetect import Detector, QuestionIndex
from dupdetect.guards import Guards
from dupdetect.service import Service, Settings, create_app

KEY = "correct-horse-battery-staple"
LOCAL = "http://127.0.0.1:8080"
TEXTS = (
    "how do i open my account",
    "How do I open my account?",
    "how do i close my account",
    "how do i open my old account",
    "error 403 on login page",
    "error 404 on login page",
    "where is my parcel",
    "where is my parcel now",
    " ",
)


class SlowEncoder(HashingEncoder):
    """Waits before each call until it may go on; `calls` has the number of texts of each."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.entered = threading.Semaphore(0)
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def encode(self, texts, *, progress=None):
        self.calls.append(len(texts))
        self.entered.release()
        assert self.may_go_on.wait(20)
        return super().encode(texts, progress=progress)

    def hold(self):
        """From now on, stop in each call."""
        self.may_go_on.clear()
        self.entered = threading.Semaphore(0)
        self.calls = []


@functools.cache
def calibration():
    return Detector.calibrate(HashingEncoder(), labelled_pairs(), data="made for the tests").calibration


def make_detector(encoder=None):
    return Detector(encoder or HashingEncoder(), calibration(), "hashing", Guards(0.5)).at(threshold=0.7)


def make_index(folder, texts=TEXTS, encoder=None):
    index = QuestionIndex.create(folder / "index", make_detector(encoder))
    if texts:
        index.add(list(texts), ids=[f"q{place}" for place in range(len(texts))])
    return index


def make_client(folder, base_url=LOCAL, **settings):
    """A client of a service; use it in a `with`."""
    app = create_app(Service(make_index(folder), Settings(**settings)))
    return TestClient(app, base_url=base_url, raise_server_exceptions=False)


def with_service(folder, work, *, texts=TEXTS, encoder=None, **settings):
    """Return what `await work(service)` returns; the service is stopped afterwards."""

    async def run():
        service = Service(make_index(folder, texts, encoder), Settings(**settings))
        await service.start()
        try:
            return await work(service)
        finally:
            if encoder is not None:
                encoder.may_go_on.set()
            await service.stop()

    return asyncio.run(run())


async def until(happened):
    """Wait in the event loop until something has happened."""
    async with asyncio.timeout(20):
        while not happened():
            await asyncio.sleep(0.001)
