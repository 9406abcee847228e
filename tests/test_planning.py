"""What `plan` predicts follows its formulas, and what it measures is of the rows that it is given."""

import csv
import dataclasses
import functools
import json

import pytest

from dupdetect import Detector, Questions, planning
from dupdetect.cli import main
from dupdetect.errors import EmptyInputError, InputError, NotCalibratedError
from dupdetect.planning import Rates, measure, plan

RATES = Rates(
    rows=1000,
    texts=900,
    cores=4,
    distinct=0.9,
    row_bytes=60.0,
    text_bytes=50.0,
    dimension=384,
    short=132,
    encoded=500.0,
    comparable=1.0,
    compared=3e8,
    products=5e7,
    rest=10_000.0,
    listed=50_000.0,
    similar=1e-6,
)


PLACES = [
    f"{street} {town}"
    for street in ("high", "park", "mill", "church", "station", "bridge")
    for town in ("london", "berlin", "paris", "madrid", "rome")
]


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    """How fast this machine is matters to no test."""
    monkeypatch.setattr(planning, "_SHARD_ROWS", 600)
    monkeypatch.setattr(planning, "_FEWEST", 200)
    monkeypatch.setattr(planning, "measure", functools.partial(measure, seconds=0.2))


def questions(n=700):
    return [f"w{number}a w{number % 7}b how do i {number % 11}" for number in range(n)]


def test_the_example_of_the_formulas():
    found = plan(RATES, 1_000_000, 8)
    n = 900_000
    assert found.texts == pytest.approx(n)
    assert found.pairs == pytest.approx(n * (n - 1) / 2 * 1e-6)
    assert found.exact["encoding"] == pytest.approx(n / 4000)
    assert found.exact["comparing"] == pytest.approx(n * (n - 1) / 2 / 2.4e9)
    assert found.exact["rest"] == pytest.approx(100 + found.pairs / 50_000)
    assert found.approximate["encoding"] == pytest.approx(n / 4000)
    assert found.approximate["comparing"] == pytest.approx(8 * n**1.5 / 4e8 + (160 * 16 + 4000) * n / 5e7)
    assert found.store == pytest.approx(4 * n * 516)
    for part in (found.exact, found.approximate):
        assert part["seconds"] == pytest.approx(part["encoding"] + part["comparing"] + part["rest"])


def test_only_comparable_pairs_take_time():
    found = plan(dataclasses.replace(RATES, comparable=0.25), 1_000_000, 8)
    assert found.exact["comparing"] == pytest.approx(plan(RATES, 1_000_000, 8).exact["comparing"] / 4)
    assert found.pairs == plan(RATES, 1_000_000, 8).pairs


def test_what_is_similar_is_what_a_deduplication_finds():
    """Also with words that the encoder does not know, which are all one vector, and with ends that many texts share."""
    fast = Detector.from_pretrained(tier="fast")
    words = ("money", "parcel", "password", "ticket", "camera", "invoice", "account", "refund")
    plain = [f"how do i get my {word} back in {place}" for word in words for place in PLACES]
    unknown = [f"{chr(0x4E00 + number)}{chr(0x5000 + number)}" for number in range(400)]
    signed = [f"{text}. this mail is confidential. it is meant for its reader alone." for text in plain]
    for texts, share in ((plain, 1), ([*plain, *unknown], (240 / 640) ** 2), (signed, 1)):
        rates = measure(fast, Questions.from_texts(texts), seconds=2)
        assert rates.texts == len(texts)
        result = fast.deduplicate(texts)
        found = len(result.pairs) + len(result.ruled_out)
        assert rates.similar == pytest.approx(found / (len(texts) * (len(texts) - 1) / 2))
        assert 0 < rates.similar < 0.5
        assert rates.comparable == pytest.approx(share, abs=0.01)


def test_more_workers_take_less_time_and_more_rows_take_more():
    few, many = plan(RATES, 1_000_000, 2), plan(RATES, 1_000_000, 4)
    assert many.exact["comparing"] == pytest.approx(few.exact["comparing"] / 2)
    assert many.exact["encoding"] == pytest.approx(few.exact["encoding"] / 2)
    assert many.exact["rest"] == few.exact["rest"]
    assert plan(RATES, 10_000_000_000, 2).exact["rest"] == pytest.approx(1_000_000 + 200), "no more are listed"
    assert many.approximate["encoding"] == pytest.approx(few.approximate["encoding"] / 2)
    assert few.approximate["comparing"] / 2 < many.approximate["comparing"] < few.approximate["comparing"]
    twice = plan(RATES, 2_000_000, 2)
    assert twice.exact["comparing"] == pytest.approx(4 * few.exact["comparing"], rel=1e-5)
    assert twice.exact["encoding"] == pytest.approx(2 * few.exact["encoding"])
    for name in ("store", "disk", "network"):
        assert getattr(twice, name) > getattr(few, name)


def test_no_more_pairs_than_are_listed_take_room():
    dense = plan(RATES, 100_000_000, 8)
    assert dense.pairs > 1e9
    assert dense.disk < 100_000_000 * (0.9 * (4 * 384 + 120) + 180) + 312 * 10_000_001


@pytest.mark.parametrize(("rows", "workers"), [(0, 1), (1, 0)])
def test_nothing_is_planned_for_nothing(rows, workers):
    with pytest.raises(InputError, match="must be at least 1, not 0"):
        plan(RATES, rows, workers)


def test_rates_are_of_these_rows(detector):
    given = questions() + questions()[:300]
    rates = measure(detector, Questions.from_texts(given), seconds=0.1)
    assert rates.rows == 1000
    assert rates.distinct == pytest.approx(0.7)
    assert rates.text_bytes == pytest.approx(sum(map(len, given)) / 1000)
    assert rates.dimension == detector.encoder.dimension
    assert 0 < rates.short <= rates.dimension
    assert min(rates.encoded, rates.compared, rates.products, rates.rest, rates.listed) > 0
    assert 0 <= rates.similar <= 1


def test_the_share_of_similar_pairs_is_that_of_all(detector):
    """Of 40 groups of texts, those of a group are alike and no others: 1 pair in 40."""
    texts = [" ".join([f"g{number % 40}w{word}" for word in range(12)] + [f"v{number}"]) for number in range(1200)]
    rates = measure(detector.at(threshold=0.7), Questions.from_texts(texts), seconds=0.2)
    assert rates.similar == pytest.approx(1 / 40, rel=0.2)


def test_too_few_texts_say_nothing(detector):
    with pytest.raises(EmptyInputError, match="There are 3 different texts"):
        measure(detector, Questions.from_texts(["a b", "c d", "e f", "e  F"]))


def test_a_threshold_is_needed(encoder):
    with pytest.raises(NotCalibratedError):
        measure(Detector(encoder), Questions.from_texts(questions()))


def test_the_command(tmp_path, capsys):
    path = tmp_path / "export.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["question"], *([text] for text in questions())])

    def told(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(["plan", str(path), "--fast", *arguments])
        assert stop.value.code == 0
        return capsys.readouterr().out

    out = told("--rows", "5000000", "--workers", "16")
    assert "predicted for 5,000,000 rows (5,000,000 different texts" in out
    assert "exact, 16 workers (--engine ray):" in out
    assert "approximate (--search ann), 16 workers (--engine ray):" in out
    assert "with --resume; on Ray, object store " in out
    record = json.loads(told("--json"))
    assert record["predicted"]["rows"] == 700
    assert record["measured"]["texts"] > 0


def test_an_export_in_parts_and_behind_a_url(tmp_path, capsys):
    every = questions()
    for number in range(2):
        part = every[350 * number : 350 * number + 350]
        (tmp_path / f"{number}.csv").write_text("\n".join(["question", *part]) + "\n", "utf-8")
    with pytest.raises(SystemExit) as stop:
        main(["plan", f"{tmp_path.as_uri()}/*.csv", "--fast", "--json"])
    assert stop.value.code == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["predicted"]["rows"], record["measured"]["rows"]) == (700, 700)
