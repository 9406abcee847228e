"""What an operator sees: metrics, and a line in the log for what should not have happened. Texts of users are in
neither."""

from __future__ import annotations

import logging
import traceback

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from dupdetect.errors import DupdetectError

__all__ = ["Metrics", "log_trouble", "log_unexpected"]

_LOG = logging.getLogger("dupdetect.service")
_SECONDS = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counts of one service, in the format of Prometheus."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "dupdetect_requests", "Requests answered.", ("path", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "dupdetect_request_seconds",
            "From the head of a request to its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "dupdetect_batch_texts", "Texts searched for together.", buckets=_SIZES, registry=self._registry
        )
        self._questions = Gauge("dupdetect_index_questions", "Questions in the index.", registry=self._registry)

    def observe_request(self, path: str, status: int, seconds: float) -> None:
        """path: as the route has it, never as the caller wrote it."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def observe_batch(self, size: int) -> None:
        self._batches.observe(size)

    def text(self, questions: int) -> bytes:
        """Return all metrics, with the number of questions that the index has now."""
        self._questions.set(questions)
        return generate_latest(self._registry)


def log_unexpected(error: BaseException) -> None:
    """Log an error by its type and where it was raised: its message may quote a text."""
    where = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
    _LOG.error("%s was raised; its message is left out, as it may quote a text.\n%s", type(error).__qualname__, where)


def log_trouble(error: DupdetectError) -> None:
    """Log what is wrong with the files of the index."""
    _LOG.error("%s", error)
