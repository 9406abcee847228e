"""The Ray engine: whatever happens on the cluster, the files are those of the local engine, byte for byte.

One small cluster for all of it: starting one takes ten seconds.
"""

import csv
import itertools
import json
import os
import signal
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dupdetect import Detector
from dupdetect.cli import main
from dupdetect.clustering import resolve
from dupdetect.encoder.cache import CachedEncoder
from dupdetect.engines import LocalEngine, RayEngine, ray_encoding, ray_join, ray_tasks
from dupdetect.engines import ray as ray_engine
from dupdetect.engines.ray_encoding import EncoderPool
from dupdetect.errors import DupdetectError, InputError
from dupdetect.results import OUTPUT_FILES
from dupdetect.search import TooManyPairsError, ann, approximate_pairs, similar_pairs
from dupdetect.tables import table_from_frame

# Found, and not imported: what the engine sets is read by Ray when it is.
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra cluster")


def needs_faiss(value):
    return pytest.param(value, marks=pytest.mark.skipif(find_spec("faiss") is None, reason="needs the extra ann"))


VERBS = ("pay", "cancel", "return", "track", "change", "find", "print", "close")
THINGS = ("order", "bill", "account", "parcel", "address", "ticket", "password", "invoice", "card", "plan")
ENDS = ("", "please", "now", "again", "today", "by phone", "online")


def questions():
    return [f"how do i {verb} my {thing} {end}".strip() for verb, thing, end in itertools.product(VERBS, THINGS, ENDS)]


def directions(n=900, d=48, seed=0):
    """n unit rows, many of them close to others."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n // 5, d))[rng.integers(0, n // 5, n)] + 0.25 * rng.normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def cluster():
    with RayEngine(workers=2) as engine:
        yield engine


@pytest.fixture
def small_shards(monkeypatch):
    """Several shards of texts and of rows, although there are few."""
    monkeypatch.setattr(ray_engine, "_FEW_ROWS", 100)
    monkeypatch.setattr(ray_join, "_SMALLEST", 64)
    monkeypatch.setattr(ray_encoding, "_FEWEST_TEXTS", 16)
    monkeypatch.setattr(ray_engine, "_TEXTS", 40)


@pytest.fixture(scope="module")
def detector():
    return Detector.from_pretrained(tier="fast").at(threshold=0.8)


@pytest.fixture
def export(tmp_path):
    path = tmp_path / "export.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "question"], *enumerate(questions())])
    return path


def dedupe(folder, monkeypatch, *arguments):
    """Run the command in a folder of its own; return its status."""
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as stop:
        main(["dedupe", *map(str, arguments), "--id", "id", "--fast", "--threshold", "0.8", "-o", "out"])
    return stop.value.code


def same_files(one, other):
    for name in OUTPUT_FILES:
        if name != "run.json":
            assert (one / name).read_bytes() == (other / name).read_bytes(), name
    records = [json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in (one, other)]
    kinds = [(record.pop("seconds"), record.pop("engine"))[1]["kind"] for record in records]
    assert records[0] == records[1]
    return kinds


def equal_pairs(found, expected):
    for column in ("left", "right", "similarity"):
        np.testing.assert_array_equal(getattr(found, column), getattr(expected, column))
        assert getattr(found, column).dtype == getattr(expected, column).dtype


def worker_processes(name):
    """Return the processes of this process's cluster whose title begins so."""
    parents, found = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            title = (folder / "cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:  # it has ended
            continue
        parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
        if title.startswith(name):
            found.append(int(folder.name))

    def ours(process):
        while process > 1 and process != os.getpid():
            process = parents.get(process, 0)
        return process == os.getpid()

    return [process for process in found if ours(process)]


@contextmanager
def killing(stage, *names):
    """Yield a `progress` that kills a process of this name when the first part of a stage is finished, and the list of
    those that it has killed."""
    killed = []

    @contextmanager
    def progress(name, total, unit):
        def advance(count):
            if name == stage and not killed:
                for process in [process for title in names for process in worker_processes(title)][:1]:
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)

        yield advance

    yield progress, killed


def test_a_cluster_that_is_started_here_is_of_this_machine_alone(cluster):
    import ray

    (node,) = ray.nodes()
    assert node["NodeManagerAddress"] == "127.0.0.1"
    assert ray.cluster_resources()["CPU"] == 2


def test_the_command_writes_the_same_files(cluster, export, tmp_path, monkeypatch, small_shards):
    assert dedupe(tmp_path / "local", monkeypatch, export) == 0
    assert dedupe(tmp_path / "ray", monkeypatch, export, "--engine", "ray") == 0
    assert same_files(tmp_path / "local" / "out", tmp_path / "ray" / "out") == ["local", "ray"]
    assert len((tmp_path / "ray" / "out" / "pairs.csv").read_text().splitlines()) > 300


@pytest.mark.parametrize("rows", [64, 250, 899, 5000])
def test_pairs_do_not_depend_on_shards(cluster, rows):
    embeddings = directions()
    counted = []
    with RayEngine(shard_rows=rows) as engine:
        found = engine.join(embeddings, 0.6, progress=counted.append)
    equal_pairs(found, similar_pairs(embeddings, 0.6))
    assert len(found) > 500
    assert sum(counted) == 900 * 899 // 2


@pytest.mark.parametrize("join", ["join", needs_faiss("approximate_join")])
def test_too_many_pairs_are_refused(cluster, join, monkeypatch):
    monkeypatch.setattr(ann, "_FEW_ROWS", 100)
    with RayEngine(shard_rows=100) as engine, pytest.raises(TooManyPairsError):
        getattr(engine, join)(directions(), 0.6, most=50)


@pytest.mark.parametrize("rows", [needs_faiss(64), needs_faiss(899), needs_faiss(5000)])
def test_pairs_in_cells_do_not_depend_on_shards_or_the_engine(cluster, rows, monkeypatch):
    monkeypatch.setattr(ann, "_FEW_ROWS", 100)
    monkeypatch.setattr(ann, "visits", lambda *_: 1)
    monkeypatch.setattr(ray_engine, "visits", lambda *_: 1)
    embeddings = directions()
    counted = []
    with RayEngine(shard_rows=rows) as engine:
        found = engine.approximate_join(embeddings, 0.6, progress=counted.append)
    equal_pairs(found, approximate_pairs(embeddings, 0.6))
    assert 300 < len(found) < len(similar_pairs(embeddings, 0.6)), "so there is something that shards could change"
    assert sum(counted) == 900 * 899 // 2


@pytest.mark.parametrize("first", ["ray", "local"])
@pytest.mark.parametrize("search", ["exact", needs_faiss("ann")])
def test_another_engine_begins_anew_with_the_same_folder(cluster, tmp_path, monkeypatch, search, first):
    """Both number their blocks from 0 on, and in other ways."""
    monkeypatch.setattr(ann, "_FEW_ROWS", 100)
    monkeypatch.setattr(ann, "_SMALLEST", 100)
    embeddings = directions()
    with RayEngine(shard_rows=100) as engine:
        joins = [join_of(engine, search), join_of(LocalEngine(), search)]
        expected = joins[0](embeddings, 0.6)
        for join in joins if first == "ray" else reversed(joins):
            equal_pairs(join(embeddings, 0.6, work=tmp_path), expected)


def join_of(engine, search):
    return engine.join if search == "exact" else engine.approximate_join


@pytest.mark.parametrize("search", ["exact", needs_faiss("ann")])
def test_a_join_goes_on_from_what_was_finished(cluster, tmp_path, monkeypatch, search):
    monkeypatch.setattr(ann, "_FEW_ROWS", 100)
    results, result = [], ray_tasks.result

    def interrupted(*arguments):
        if len(results) == 23:
            raise KeyboardInterrupt
        results.append(arguments)
        return result(*arguments)

    embeddings = directions()
    with monkeypatch.context() as patch, RayEngine(shard_rows=100) as engine:
        join = engine.join if search == "exact" else engine.approximate_join
        expected = join(embeddings, 0.6)
        patch.setattr(ray_tasks, "result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            join(embeddings, 0.6, work=tmp_path)
        finished = len(list(tmp_path.glob("shards/**/*.npy")))
        assert finished == 23 - (9 if search == "ann" else 0)  # cells of 9 shards come first
        patch.setattr(ray_engine, "middles_of", None)  # not asked for again
        results[:] = [None] * 24
        equal_pairs(join(embeddings, 0.6, work=tmp_path), expected)
        assert len(results) - 24 == len(list(tmp_path.glob("shards/**/*.npy"))) - finished


@pytest.mark.parametrize("search", [needs_faiss("ann")])
def test_an_approximate_search_writes_the_same_files(cluster, export, tmp_path, monkeypatch, small_shards, search):
    monkeypatch.setattr(ann, "_FEW_ROWS", 100)
    assert dedupe(tmp_path / "local", monkeypatch, export, "--search", search) == 0
    assert dedupe(tmp_path / "ray", monkeypatch, export, "--search", search, "--engine", "ray") == 0
    assert same_files(tmp_path / "local" / "out", tmp_path / "ray" / "out") == ["local", "ray"]
    record = json.loads((tmp_path / "ray" / "out" / "run.json").read_text(encoding="utf-8"))["search"]
    assert record["kind"] == "ann"
    assert record["with_pairs"] > 300


@pytest.mark.parametrize("size", [37, 400])
def test_what_stays_is_decided_on_the_cluster(cluster, monkeypatch, size):
    pairs = similar_pairs(directions(), 0.6)
    priority = np.random.default_rng(0).permutation(900)
    expected = resolve(900, pairs, priority)
    monkeypatch.setattr(ray_engine, "_FEW_PAIRS", 10)
    monkeypatch.setattr(ray_engine, "_PAIRS", size)
    with RayEngine() as engine:
        found = engine.resolve(900, pairs, priority)
    for column in ("cluster", "survivor", "similarity"):
        np.testing.assert_array_equal(getattr(found, column), getattr(expected, column))
        assert getattr(found, column).dtype == getattr(expected, column).dtype


def test_vectors_are_those_of_the_encoder(cluster, tmp_path, small_shards):
    encoder = Detector.from_pretrained().encoder  # the one that runs a network
    texts = questions()[:150]
    expected = encoder.encode(texts)
    cached = CachedEncoder(encoder, tmp_path / "vectors.sqlite")
    with RayEngine() as engine:
        counted = []
        np.testing.assert_array_equal(engine.encode(encoder, texts, progress=counted.append), expected)
        assert sum(counted) == 150
        assert len(counted) > 2
        for _ in range(2):
            np.testing.assert_array_equal(engine.encode(cached, texts), expected)
    assert (cached.use.encoded, cached.use.cached) == (150, 150)


@pytest.mark.parametrize(
    ("stage", "names"),
    [("Encoding", ["ray::EncodingWorker.encode", "ray::EncodingWorker"]), ("Comparing", ["ray::compare", "ray::IDLE"])],
)
def test_a_killed_worker_changes_nothing(cluster, detector, small_shards, stage, names):
    expected = detector.deduplicate(questions())
    lost = 0
    for _ in range(3):  # on a busy machine the worker may have had nothing left to do
        with killing(stage, *names) as (progress, killed):
            result = detector.deduplicate(questions(), engine="ray", progress=progress)
        assert killed
        np.testing.assert_array_equal(result.duplicate_of, expected.duplicate_of)
        np.testing.assert_array_equal(result.similarity, expected.similarity)
        np.testing.assert_array_equal(result.cluster_id, expected.cluster_id)
        lost = result.run["engine"]["lost_while_encoding"]
        if stage == "Comparing" or lost:
            break
    assert lost == (stage == "Encoding")


def test_it_goes_on_after_an_interruption(cluster, export, tmp_path, monkeypatch, small_shards, capsys):
    assert dedupe(tmp_path / "local", monkeypatch, export) == 0
    results, result = [], ray_tasks.result

    def interrupted(*arguments):
        if len(results) == 7:
            raise KeyboardInterrupt
        results.append(arguments)
        return result(*arguments)

    folder = tmp_path / "ray"
    with monkeypatch.context() as patch:
        patch.setattr(ray_tasks, "result", interrupted)
        patch.setattr("dupdetect.encoded_texts._FEW_ROWS", 10)
        assert dedupe(folder, monkeypatch, export, "--engine", "ray", "--resume") == 130
        assert len(list((folder / "out.partial" / "pairs").rglob("*.npy"))) == 7
        results[:] = [None] * 8
        assert dedupe(folder, monkeypatch, export, "--engine", "ray", "--resume") == 0
    assert len(results) - 8 == 9 * 10 // 2 - 7  # 560 texts in 9 shards
    assert not (folder / "out.partial").exists()
    for name in ("questions.csv", "kept.csv", "pairs.csv", "possible.csv", "ruled_out.csv", "candidates.csv"):
        assert (folder / "out" / name).read_bytes() == (tmp_path / "local" / "out" / name).read_bytes()


class SameEverywhere:
    """An encoder of the caller's own making."""

    fingerprint, dimension = "test:same", 4

    def encode(self, texts, *, progress=None):
        return np.eye(4, dtype=np.float32)[[len(text) % 4 for text in texts]]

    def truncated(self, texts):
        return np.zeros(len(texts), dtype=bool)


class OtherElsewhere(SameEverywhere):
    """An encoder whose vectors are others in another process."""

    def __init__(self):
        self.home = os.getpid()

    def encode(self, texts, *, progress=None):
        return np.roll(super().encode(texts), int(os.getpid() != self.home), axis=1)


class OnACard(SameEverywhere):
    """An encoder that was loaded for a graphics card."""

    device = "cuda"


class Deadly(SameEverywhere):
    """An encoder that takes more memory than there is for one of the texts."""

    def encode(self, texts, *, progress=None):
        if "how do i pay my plan now" in texts:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(texts)


class Short(SameEverywhere):
    """An encoder that returns one row for many texts."""

    def encode(self, texts, *, progress=None):
        return super().encode(texts)[: 1 if len(texts) > 10 else None]


class Unloadable(SameEverywhere):
    """An encoder that breaks down in a worker at once."""

    def __init__(self):
        self.home = os.getpid()

    def encode(self, texts, *, progress=None):
        if os.getpid() != self.home:
            raise OSError("cannot load weights file")
        return super().encode(texts)


@pytest.fixture
def own_encoders(cluster):
    """Workers cannot import the module of a test."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def test_an_encoder_of_the_callers_own_is_sent(own_encoders):
    with RayEngine() as engine:
        np.testing.assert_array_equal(
            engine.encode(SameEverywhere(), questions()), SameEverywhere().encode(questions())
        )


def test_rows_that_are_missing_are_refused(own_encoders):
    with RayEngine() as engine, pytest.raises(InputError, match=r"returned rows of the shape \(1, \d+\) for"):
        engine.encode(Short(), questions())


def test_why_no_worker_can_load_the_encoder_is_told(own_encoders):
    with RayEngine() as engine, pytest.raises(DupdetectError, match="failed: cannot load weights file"):
        engine.encode(Unloadable(), questions())


def test_with_a_cache_all_workers_have_work(own_encoders, tmp_path, monkeypatch):
    """What is asked for at a time is as much as all of them have at once."""
    asked = []
    encode = EncoderPool.encode
    monkeypatch.setattr(
        EncoderPool, "encode", lambda pool, texts, **how: asked.append(len(texts)) or encode(pool, texts, **how)
    )
    monkeypatch.setattr(ray_engine, "_TEXTS", 50)
    with RayEngine() as engine:
        cores = int(engine._ray.cluster_resources()["CPU"])
        cached = CachedEncoder(SameEverywhere(), tmp_path / "cache")
        texts = [f"w{n} x" for n in range(450)]
        np.testing.assert_array_equal(engine.encode(cached, texts), SameEverywhere().encode(texts))
    assert max(asked) == min(450, 2 * 50 * cores)
    assert sum(asked[1:]) == 450  # after the texts that tell how this machine computes


def test_an_encoder_on_a_card_needs_a_cluster_with_cards(cluster):
    with RayEngine() as engine, pytest.raises(InputError, match="The cluster has no graphics cards"):
        engine.encode(OnACard(), questions())


def test_a_worker_that_computes_otherwise_is_refused(own_encoders):
    with RayEngine() as engine, pytest.raises(DupdetectError, match="encodes otherwise than this process"):
        engine.encode(OtherElsewhere(), questions())


def test_a_text_that_kills_every_worker_is_named(own_encoders, small_shards):
    with RayEngine() as engine, pytest.raises(DupdetectError, match=r"5 workers .* to encode texts 41 to 80; perhaps"):
        engine.encode(Deadly(), questions())


# Ray Data warns of its own settings.
_OWN = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data", "ignore::ResourceWarning")


@pytest.fixture
def parts(tmp_path):
    """An export in four Parquet files: one has no number in `votes`, and so no type for it."""
    folder = tmp_path / "parts"
    folder.mkdir()
    texts = questions()[:80]
    for part in range(4):
        some = texts[part * 20 : part * 20 + 20]
        votes = [None if part == 2 else part + row for row in range(20)]
        ids = [f"p{part}-{row}" for row in range(20)]
        pl.DataFrame({"id": ids, "question": some, "votes": votes}).write_parquet(folder / f"{part}.parquet")
    return folder


@_OWN
def test_what_ray_data_has_read_is_deduplicated_and_written_by_it(cluster, detector, parts, tmp_path):
    ray_data = pytest.importorskip("ray.data")

    def first_block_last(block):  # in here, so that it is sent as it is
        if block["id"][0].as_py() == "p0-0":
            time.sleep(1.5)
        return block

    dataset = ray_data.read_parquet(str(parts), override_num_blocks=4).map_batches(
        first_block_last, batch_format="pyarrow"
    )
    with RayEngine() as engine:
        found = detector.deduplicate(dataset, text="question", id="id", engine=engine)
    here = pl.concat([pl.read_parquet(path) for path in sorted(parts.iterdir())], how="vertical_relaxed")
    expected = detector.deduplicate(here, text="question", id="id")
    assert found.to_frame().equals(expected.to_frame())
    assert 0 < found.kept.sum() < len(found.kept)
    assert not dataset.context.execution_options.preserve_order  # as the caller had it

    # Ray cannot send strings in polars' own Arrow type.
    result = found.to_frame().to_arrow(compat_level=pl.CompatLevel.oldest())
    ray_data.from_arrow(result).write_parquet(str(tmp_path / "written"))
    assert pl.read_parquet(tmp_path / "written/*.parquet").equals(expected.to_frame())


@_OWN
@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_ray_data_reads_and_writes_each_format_behind_a_url(cluster, detector, parts, kind):
    ray_data = pytest.importorskip("ray.data")
    here = pl.read_parquet(parts / "0.parquet")
    table = here.to_arrow(compat_level=pl.CompatLevel.oldest())
    getattr(ray_data.from_arrow(table), f"write_{kind}")(f"file://{parts}/{kind}")
    dataset = getattr(ray_data, f"read_{kind}")(f"file://{parts}/{kind}")
    found = detector.deduplicate(dataset, text="question", id="id").to_frame()
    assert found.equals(detector.deduplicate(here, text="question", id="id").to_frame())
    result = found.to_arrow(compat_level=pl.CompatLevel.oldest())
    getattr(ray_data.from_arrow(result), f"write_{kind}")(f"file://{parts}/out-{kind}")
    again = getattr(ray_data, f"read_{kind}")(f"file://{parts}/out-{kind}").to_pandas()
    assert again["id"].tolist() == found["id"].to_list()
    assert again["kept"].tolist() == found["kept"].to_list()


@_OWN
def test_a_dataset_of_ray_without_rows_is_an_empty_table(cluster, parts):
    ray_data = pytest.importorskip("ray.data")
    nothing = ray_data.read_parquet(str(parts)).map_batches(lambda block: block.slice(0, 0), batch_format="pyarrow")
    assert table_from_frame(nothing).columns == ("id", "question", "votes")
    assert len(table_from_frame(nothing)) == 0


def test_what_does_not_go_together_is_refused(cluster, detector):
    with pytest.raises(InputError, match=r"has called ray\.init already"), RayEngine("auto"):
        pass
    with pytest.raises(InputError, match="has the workers that it has"):
        RayEngine("auto", workers=2)
    with pytest.raises(InputError, match="workers must be at least 1"):
        RayEngine(workers=0)
