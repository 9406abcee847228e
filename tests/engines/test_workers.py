"""What a worker writes into its log."""

import logging

import numpy as np
import pytest

from dupdetect.engines import workers
from dupdetect.errors import DupdetectError
from dupdetect.search.between import shards_of


@pytest.fixture
def lines():
    """The lines of this process's log, as they are written."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    log = workers._log()
    log.addHandler(handler)
    yield lines
    log.removeHandler(handler)


@pytest.fixture
def one_core(monkeypatch):
    monkeypatch.setattr("dupdetect.cores._most", None)  # and back again


def test_each_piece_of_work_is_named_when_it_begins_and_when_it_is_done(lines, one_core):
    rows = np.eye(6, dtype=np.float32)
    first, second = shards_of(rows, 0.5, 3)
    mark = workers.joining_mark()
    found = workers.compare(first, second, 0.5, mark, "compare shard 1 with shard 2 of 2")
    assert len(found[0]) == 0
    assert workers.cells(rows, rows * 4000, 2, "find the cells of texts 1 to 6").shape == (6, 2)
    begun, done = lines[::2], lines[1::2]
    assert begun == ["compare shard 1 with shard 2 of 2", "find the cells of texts 1 to 6"]
    assert [line.rpartition(": done in ")[0] for line in done] == begun


def test_a_worker_that_rounds_otherwise_does_nothing(lines, one_core):
    (shard,) = shards_of(np.eye(3, dtype=np.float32), 0.5, 3)
    with pytest.raises(DupdetectError, match="compares otherwise than this process"):
        workers.compare(shard, shard, 0.5, "another mark", "compare shard 1 with shard 1 of 1")
    assert not lines


class Broken:
    fingerprint, dimension = "test:broken", 3

    def encode(self, texts, *, progress=None):
        raise ValueError("cannot load weights")

    def truncated(self, texts):
        return np.zeros(len(texts), dtype=np.bool_)


def test_what_kept_a_worker_from_loading_its_encoder_is_told(one_core):
    """Raised while it is made, it would look as if its process had died, of too little memory perhaps."""
    worker = workers.EncodingWorker(workers.SentEncoder({}, {}, Broken()), "mark", 1)
    with pytest.raises(ValueError, match="cannot load weights"):
        worker.ready()
