"""The harness of scripts/benchmark.py at a small size: what it says is so. How fast anything is, is not tested."""

import inspect
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import HashingEncoder, labelled_pairs

from dupdetect.search import cosine, similar_pairs

SCRIPTS = Path(__file__).parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

import benchmark  # noqa: E402
from benchmarks import methods, one, table  # noqa: E402
from benchmarks.methods import Groups, Inputs, Method, Pairs  # noqa: E402

TEXTS = list(labelled_pairs(200).nodes().texts)
THRESHOLD = 0.7
DEFAULT = {"threshold": THRESHOLD}
HEAD = {"data": {"made up": {"sha256": "0"}}, "machine": {"cores": 2}, "tiers": {"default": DEFAULT}}
NUMPY, OURS = methods.JOINS[:2]

PEERS = """
import time
import numpy as np
from benchmarks.methods import Pairs, similar_pairs

def liar(inputs):
    def work():
        pairs = similar_pairs(inputs)()
        return Pairs(pairs.right[::2].repeat(2), pairs.left[::2].repeat(2))
    return work

def endless(inputs):
    return lambda: time.sleep(600)

def broken(inputs):
    raise ValueError("it does not work")

def hungry(inputs):
    def work():
        np.ones(40_000_000)
        return Pairs(np.array([0]), np.array([0]))
    return work

def counting(inputs):
    texts = inputs.texts()
    return lambda: np.array([len(text) for text in texts])
"""
LIAR, ENDLESS, BROKEN, HUNGRY = (
    Method(name, f"some_peers:{name}", ("numpy",)) for name in ("liar", "endless", "broken", "hungry")
)
NOT_THERE = Method("not there", "some_peers:liar", ("numpy", "no-such-package-as-this"))


@pytest.fixture
def peers(tmp_path, monkeypatch):
    (tmp_path / "some_peers.py").write_text(PEERS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")


@pytest.fixture
def started(tmp_path):
    def start(*, rounds=1, limit=60.0, revision="first", head=HEAD):
        return benchmark.Benchmark.started(tmp_path / "benchmark.json", head, revision, rounds=rounds, limit=limit)

    return start


@pytest.fixture
def run(detector, started, tmp_path):
    """Join the made-up questions by some methods, as `main` would, and return the rows as they lie on the disk."""

    def joined(*chosen, sizes=(400,), **how):
        begun = started(**how)
        benchmark.joins(begun, detector, "default", "made up", TEXTS, sizes, tmp_path / "work", chosen)
        record = json.loads(begun.path.read_text("utf-8"))
        assert record == begun.record
        assert begun.path.with_suffix(".md").read_text("utf-8") == table.markdown(record)
        return {(row["method"], row["texts"]): row for row in record["joins"]}

    return joined


@pytest.fixture
def inputs(tmp_path):
    """What every join is given, with the pairs of brute force to be judged by."""
    vectors = HashingEncoder().encode(TEXTS)
    Inputs.store(tmp_path, TEXTS, vectors)
    inputs = Inputs(tmp_path, len(TEXTS), THRESHOLD)
    one.measure(job(inputs, NUMPY))
    return inputs


def job(inputs, method):
    return one.Job(method.function, str(inputs.folder), inputs.rows, inputs.threshold, "", 60.0, method.finds_truth)


class TestOneRun:
    def test_exact_joins_have_all_pairs_and_a_peer_that_lies_has_not(self, run, peers, tmp_path):
        rows = run(NUMPY, OURS, LIAR, NOT_THERE, BROKEN, HUNGRY)
        rows = {name: row for (name, _), row in rows.items()}
        true = len(similar_pairs(HashingEncoder().encode(TEXTS), THRESHOLD))
        assert true > 30
        for name in ("numpy", "dupdetect"):
            assert (rows[name]["recall"], rows[name]["reported"], rows[name]["true_pairs"]) == (1.0, true, true)
        assert rows["liar"]["recall"] == pytest.approx(0.5, abs=1 / true)
        assert rows["liar"]["reported"] == (true + 1) // 2
        assert rows["not there"]["missing"] == "pip install no-such-package-as-this"
        assert rows["broken"]["failed"] == "ValueError: it does not work"
        assert (rows["hungry"]["recall"], rows["hungry"]["reported"]) == (0.0, 0)
        if Path("/proc/self/status").exists():
            taken = {name: rows[name]["peak_memory_mb"] - rows[name]["memory_before_mb"] for name in ("hungry", "liar")}
            assert 300 < taken["hungry"] < 400
            assert taken["liar"] < 200
        for row in rows.values():
            assert ("seconds" in row) == ("peak_memory_mb" in row) == (row["method"] not in ("not there", "broken"))
            assert row["versions"]["numpy"] == np.__version__

        lines = (tmp_path / "benchmark.md").read_text("utf-8").splitlines()
        for name in rows:
            assert sum(f"| default | {name} |" in line for line in lines) == 1
        assert any("broken | failed: ValueError: it does not work |" in line for line in lines)

    def test_over_the_limit_is_said_and_not_tried_with_more_texts(self, run, peers):
        rows = run(ENDLESS, sizes=(50, 100), limit=0.2)
        assert rows["endless", 50]["over_seconds"] == rows["endless", 100]["over_seconds"] == 0.2
        assert "not_run" not in rows["endless", 50]
        assert rows["endless", 100]["not_run"] == "it was over with 50 texts"
        again = run(ENDLESS, sizes=(50,), limit=0.2, revision="second")
        assert again == rows
        more = run(ENDLESS, sizes=(50,), limit=0.3, revision="second")
        assert more["endless", 50]["over_seconds"] == 0.3
        assert more["endless", 50]["revision"] == "second"

    def test_encoders_are_compared_round_by_round(self, started, peers, tmp_path, monkeypatch):
        others = (Method(methods.PEER_ENCODER, "some_peers:counting", ("numpy",)), methods.ENCODERS[1])
        monkeypatch.setattr(benchmark, "ENCODERS", others)
        begun = started()
        benchmark.encoding(begun, TEXTS[:20], tmp_path / "work", "")
        peer, ours = begun.record["encoding"]
        assert peer["texts"] == ours["texts"] == 20
        assert begun.record["times_as_fast"][peer["method"]] == 1.0
        assert begun.record["times_as_fast"][ours["method"]] < 1.0  # than counting letters
        for row in (peer, ours):
            assert f"| {row['method']} | 20 | {20 / row['seconds']:,.0f} |" in table.markdown(begun.record)


class TestTurnsAndResuming:
    """With a stand-in for the process that measures."""

    @pytest.fixture
    def seconds(self):
        return {"numpy": 3.0, "dupdetect": 1.0, "liar": 2.0}

    @pytest.fixture
    def calls(self, monkeypatch, seconds):
        calls = []

        def measured(method, inputs, limit):
            calls.append((method.name, inputs.rows))
            inputs.truth.touch()
            time = seconds[method.name] * inputs.rows**2 / 100**2
            return {"seconds": time, "peak_memory_mb": len(calls), "memory_before_mb": 1, "reported": 1, "recall": 1.0}

        monkeypatch.setattr(benchmark, "measured", measured)
        return calls

    def test_methods_take_turns_and_slow_ones_have_one(self, run, calls, seconds):
        seconds["numpy"] = benchmark.LONG + 1
        rows = run(NUMPY, OURS, LIAR, sizes=(100,), rounds=3)
        assert [name for name, _ in calls] == ["numpy", *["dupdetect", "liar"] * 3]
        assert rows["dupdetect", 100]["seconds_of_rounds"] == [1.0] * 3
        assert rows["dupdetect", 100]["peak_memory_mb"] == 6
        assert rows["numpy", 100]["seconds_of_rounds"] == [seconds["numpy"]]

    def test_the_median_of_the_seconds_counts_and_the_highest_peak(self):
        row = {}
        for seconds, peak in ((3.0, 5), (1.5, 9), (1.0, 7)):
            row = benchmark.merged(row, {"seconds": seconds, "peak_memory_mb": peak})
        assert (row["seconds"], row["seconds_of_rounds"], row["peak_memory_mb"]) == (1.5, [3.0, 1.5, 1.0], 9)
        row = benchmark.merged({}, {"seconds": 1.0, "peak_memory_mb": None})  # where the system does not say
        assert row["peak_memory_mb"] is None

    def test_a_second_run_measures_only_what_is_missing(self, run, calls):
        first = run(NUMPY, OURS, sizes=(100,), rounds=2)
        calls.clear()
        second = run(NUMPY, OURS, LIAR, sizes=(100, 200), rounds=2, revision="second")
        assert calls == [("liar", 100)] * 2 + [("numpy", 200), ("dupdetect", 200), ("liar", 200)] * 2
        assert {key: second[key] for key in first} == first
        assert second["liar", 100]["revision"] == "second"

    @pytest.mark.parametrize(
        "change", [{"machine": {"cores": 3}}, {"data": {}}, {"tiers": {"default": {"threshold": 0.8}}}]
    )
    def test_what_was_made_of_something_else_is_measured_again(self, run, calls, change):
        run(OURS, sizes=(100,))
        run(OURS, sizes=(100,), head=HEAD | change)
        assert calls == [("dupdetect", 100)] * 2

    def test_another_tier_beside_it_is_not_something_else(self, run, calls):
        run(OURS, sizes=(100,))
        run(OURS, sizes=(100,), head=HEAD | {"tiers": {"default": DEFAULT, "fast": DEFAULT}})
        run(OURS, sizes=(100,))
        assert calls == [("dupdetect", 100)]

    def test_another_version_is_measured_again_and_one_that_is_gone_is_kept(self, run, calls, monkeypatch):
        rows = run(OURS, LIAR, sizes=(100,))
        monkeypatch.setattr(benchmark, "absent", lambda method: list(method.packages) if method is LIAR else [])
        assert run(OURS, LIAR, sizes=(100,), rounds=2)["liar", 100] == rows["liar", 100]
        monkeypatch.setattr(benchmark, "installed", lambda method: {"numpy": "0.1"})
        calls.clear()
        run(OURS, sizes=(100,))
        assert calls == [("dupdetect", 100)]

    def test_brute_force_runs_again_where_its_pairs_are_gone(self, run, calls, tmp_path):
        run(NUMPY, OURS, sizes=(100,))
        for file in (tmp_path / "work").rglob("truth-*"):
            file.unlink()
        calls.clear()
        run(NUMPY, OURS, sizes=(100,))
        assert calls == [("numpy", 100)]


class TestWhatIsReported:
    def test_pairs_count_once_in_either_order(self):
        pairs = Pairs(np.array([0, 1, 5, 3]), np.array([1, 0, 2, 3]))
        assert pairs.reported() == 2
        assert pairs.holds(np.array([0, 2, 3]), np.array([1, 5, 4])).tolist() == [True, True, False]

    def test_groups_stand_for_all_their_pairs(self):
        groups = Groups(np.array([0, 0, 0, 3, 4, 3]))
        left, right = np.array([0, 1, 3, 2, 3]), np.array([1, 2, 5, 3, 4])
        assert groups.reported() == 3 + 1
        assert groups.holds(left, right).tolist() == [True, True, True, False, False]
        # Rows 0, 3 and 4 stay: only the last of these pairs stays whole.
        assert groups.resolves(left, right).tolist() == [True, True, True, True, False]

    def test_pairs_within_rounding_of_the_threshold_count_neither_way(self, inputs):
        vectors = inputs.vectors()
        rows = np.triu_indices(len(vectors), 1)
        found = Pairs(*rows)
        at = float(np.sort(cosine(vectors[rows[0]], vectors[rows[1]]))[-20])
        left, _ = one.sure(Inputs(inputs.folder, inputs.rows, at), found)
        assert len(left) < 20
        left, _ = one.sure(Inputs(inputs.folder, inputs.rows, at - 2 * one.ROUNDING), found)
        assert len(left) >= 20

    def test_without_brute_force_recall_is_unknown(self, inputs):
        inputs.truth.unlink()
        row = one.measure(job(inputs, OURS))
        assert row["recall"] is None
        assert row["reported"] > 0


class TestPeers:
    def test_sentence_transformers(self, inputs):
        util = pytest.importorskip("sentence_transformers.util")
        mining, communities = (one.measure(job(inputs, method)) for method in methods.JOINS[3:5])
        assert mining["recall"] == 1.0
        assert mining["reported"] == mining["true_pairs"]
        assert 0.5 < communities["recall"] <= communities["resolved"] <= 1.0
        stated = inspect.signature(util.paraphrase_mining_embeddings).parameters
        assert f"top_k={stated['top_k'].default}, max_pairs={stated['max_pairs'].default}" in methods.JOINS[3].settings

    def test_a_sentence_transformers_model_is_encoded_with(self, inputs, tmp_path):
        pytest.importorskip("sentence_transformers")
        from tiny_bert import make_tiny_bert

        vectors = methods.sentence_transformer(Inputs(inputs.folder, 7, model=make_tiny_bert(tmp_path)))()
        assert vectors.shape == (7, 32)

    def test_faiss(self, inputs):
        pytest.importorskip("faiss", reason="faiss-cpu is no dependency, and not installed here")
        row = one.measure(job(inputs, methods.JOINS[2]))
        assert row["recall"] == 1.0
        assert row["reported"] == row["true_pairs"]

    def test_semhash(self, inputs):
        pytest.importorskip("semhash", reason="semhash is no dependency, and not installed here")
        row = one.measure(job(inputs, methods.JOINS[5]))
        assert 0.5 < row["recall"] <= row["resolved"] <= 1.0


def test_growth_is_fitted_over_the_sizes_of_the_same_data():
    def rows(data, method, power):
        return [
            {"tier": "default", "data": data, "method": method, "texts": n, "seconds": 1e-6 * n**power}
            for n in (100, 300, 700)
        ]

    over = {"tier": "default", "data": "a", "method": "slow", "texts": 300, "over_seconds": 1.0}
    found = table.growth([*rows("a", "slow", 2.0)[:1], over, *rows("a", "quick", 1.5), *rows("b", "quick", 1.0)])
    assert [(row["data"], row["method"], row["exponent"]) for row in found] == [
        ("a", "quick", 1.5),
        ("b", "quick", 1.0),
    ]


def test_without_the_data_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", str(tmp_path / "work"), "--model", str(tmp_path)])
    monkeypatch.setattr(benchmark, "DATA", tmp_path / "nowhere")
    with pytest.raises(SystemExit, match=r"qqp_questions\.parquet\. Name the folder with the data in DUPDETECT_DATA"):
        benchmark.main()
    assert not (tmp_path / "work").exists()


def test_a_size_beyond_the_data_is_refused(monkeypatch, tmp_path):
    import polars as pl

    pl.DataFrame({"text": ["One?", "one ?", "Two?", " "]}).write_parquet(tmp_path / "qqp_questions.parquet")
    monkeypatch.setattr(benchmark, "DATA", tmp_path)
    assert len(benchmark.different_texts(benchmark.QUESTIONS, 2)) == 2
    with pytest.raises(SystemExit, match="fewer than 5"):
        benchmark.different_texts(benchmark.QUESTIONS, 5)
