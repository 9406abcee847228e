"""Results: what they hold, what they write, and that nothing of the input is lost on the way."""

import copy
import csv
import dataclasses
import json
import pickle

import networkx as nx
import numpy as np
import polars as pl
import pytest
from conftest import HashingEncoder

from dupdetect import Detector, Questions
from dupdetect.calibration.measures import percent
from dupdetect.errors import InputError, OutputExistsError
from dupdetect.results import OUTPUT_FILES, PossiblePairs, RuledOutPairs, cells
from dupdetect.ruled_out import REASONS
from dupdetect.tables import read_table


def test_written_files_hold_every_row_and_cell(detector, tmp_path):
    source = tmp_path / "in.csv"
    rows = [["7", "Reset my password", "=1+1"], ["8", "reset MY password?", "x, y"], ["9", "", "line\nbreak"]]
    with source.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "question", ""], *rows])
    result = detector.deduplicate(Questions.read(source))
    folder = result.write(tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == set(OUTPUT_FILES)
    written = read_table(folder / "questions.csv")
    assert written.columns == ("id", "question", "", "cluster_id", "kept", "duplicate_of", "similarity", "probability")
    assert [list(row[:3]) for row in written.rows] == rows
    assert [row[3:] for row in written.rows] == [
        ("1", "true", "", "", ""),
        ("1", "false", "7", "1.0", "1.000000"),
        ("2", "true", "", "", ""),
    ]
    assert [list(row) for row in read_table(folder / "kept.csv").rows] == [rows[0], rows[2]]
    pairs = read_table(folder / "pairs.csv")
    assert [dict(zip(pairs.columns, row, strict=True))["same_text"] for row in pairs.rows] == ["true"]
    run = json.loads((folder / "run.json").read_text())
    assert run["counts"]["rows"] == 3
    assert run["input"]["sha256"]
    assert {name: run["input"][name] for name in ("format", "encoding", "delimiter", "options")} == {
        "format": "csv",
        "encoding": "utf-8",
        "delimiter": ",",
        "options": {},
    }
    assert run["calibration"]["threshold"] == 0.7


def test_excel_safe_touches_formula_cells_only_on_request(detector, tmp_path):
    frame = {"text": ["=cmd()", "plain"]}
    result = detector.deduplicate(frame, text="text")
    plain = read_table(result.write(tmp_path / "plain") / "questions.csv").column("text")
    safe = read_table(result.write(tmp_path / "safe", excel_safe=True) / "questions.csv").column("text")
    assert plain == ["=cmd()", "plain"]
    assert safe == ["'=cmd()", "plain"]


def test_a_second_run_on_a_result_keeps_the_first_results(detector, tmp_path):
    frame = {"text": ["a b", "a b"], "id": ["x", "y"]}
    folder = detector.deduplicate(frame, text="text", id="id").write(tmp_path / "1")
    for run in ("2", "3", "4"):
        rows = read_table(folder / "questions.csv").rows
        folder = detector.deduplicate(Questions.read(folder / "questions.csv", text="text")).write(tmp_path / run)
        assert [row[: len(rows[0])] for row in read_table(folder / "questions.csv").rows] == list(rows)
    columns = read_table(folder / "questions.csv").columns
    added = ("cluster_id", "kept", "duplicate_of", "similarity", "probability")
    prefixed = [f"dupdetect_{name}" for name in added]
    numbered = [f"{name}_{number}" for number in (2, 3) for name in prefixed]
    assert columns == ("text", "id", *added, *prefixed, *numbered)


def test_what_duplicate_of_names_can_be_looked_up(detector, tmp_path):
    """Among the ids, or where no column identifies the rows, among their numbers."""
    frame = {"id": ["7", "7", "8"], "text": ["d e", "a b", "a b"]}
    result = detector.deduplicate(frame, text="text", keep="last")
    assert (
        "Column 'id' cannot identify rows: 2 rows share their value with another, such as '7' (2 times)."
        in (json.loads((result.write(tmp_path / "out") / "run.json").read_text())["notes"])
    )
    table = read_table(tmp_path / "out" / "questions.csv")
    assert table.columns[:4] == ("id", "text", "row", "cluster_id")
    assert table.column("row") == ["1", "2", "3"]
    assert table.column("duplicate_of") == ["", "3", ""]
    assert read_table(tmp_path / "out" / "kept.csv").columns == ("id", "text")


def test_excel_safe_marks_every_csv_file_as_utf8(detector, tmp_path):
    result = detector.deduplicate({"text": ["a b", "A b"], "id": ["ü", "ö"]}, text="text", id="id")
    for excel_safe, start in ((True, b"\xef\xbb\xbf"), (False, b"")):
        folder = result.write(tmp_path / f"{excel_safe}", excel_safe=excel_safe)
        for path in folder.glob("*.csv"):
            assert path.read_bytes().removeprefix(start)[:1].isascii(), path
            assert path.read_bytes().startswith(start), path
    safe, plain = (read_table(tmp_path / name / "questions.csv") for name in ("True", "False"))
    assert (safe.columns, safe.rows) == (plain.columns, plain.rows)


def test_output_is_never_overwritten_unasked(detector, tmp_path):
    result = detector.deduplicate(["a"])
    result.write(tmp_path / "out")
    with pytest.raises(OutputExistsError, match="overwrite=True"):
        result.write(tmp_path / "out")
    result.write(tmp_path / "out", overwrite=True)


def test_a_write_that_fails_leaves_nothing(detector, tmp_path, monkeypatch):
    result = detector.deduplicate(["a b", "a b"])

    def full(*report):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dupdetect.results.files.render_report", full)
    with pytest.raises(OSError, match="No space left"):
        result.write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_to_frame(detector):
    frame = detector.deduplicate(pl.DataFrame({"q": ["a b", "A b", "c"]}), text="q").to_frame()
    assert frame.columns == ["row", "id", "text", "cluster_id", "kept", "duplicate_of", "similarity", "probability"]
    assert frame["duplicate_of"].to_list() == [None, "1", None]
    assert frame["similarity"].to_list() == [None, 1.0, None]


def results_of_both_kinds(detector):
    texts = pl.DataFrame({"q": ["a b", "A b", "c", ""], "key": ["ä", "b", "c", "d"]})
    yield detector.deduplicate(texts, text="q", id="key")
    yield detector.deduplicate([])
    yield detector.match(texts, ["c", "C"], text="q", id="key")
    yield detector.match([], ["c"])


def test_results_are_taken_by_whatever_takes_arrow_data(detector):
    pyarrow, pandas = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
    for result in results_of_both_kinds(detector):
        frame = result.to_frame()
        table = pyarrow.table(result)
        assert table.to_pylist() == frame.to_dicts()
        assert table.column("id").null_count == 0
        assert pl.from_arrow(result).equals(frame)
        taken = pandas.DataFrame.from_arrow(result)
        assert list(taken.columns) == frame.columns
        assert taken["id"].tolist() == frame["id"].to_list()
        wanted = pyarrow.schema([(name, pyarrow.string()) for name in ("id", "text")])
        assert pyarrow.table(table.select(["id", "text"]), schema=wanted).schema == wanted


def test_results_become_a_dataset(detector):
    datasets, pyarrow = pytest.importorskip("datasets"), pytest.importorskip("pyarrow")
    for result in results_of_both_kinds(detector):
        assert datasets.Dataset(pyarrow.table(result)).to_list() == result.to_frame().to_dicts()


def test_the_result_of_one_run_is_the_input_of_the_next(detector):
    first = detector.deduplicate(["a b", "A b", "c"])
    assert detector.deduplicate(first, text="text", id="id").duplicate_of.tolist() == first.duplicate_of.tolist()


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "datasets"])
def test_data_frames_in_data_frames_out(detector, library):
    frames = pytest.importorskip(library)
    data = {"ticket": ["x", "y", "z"], "subject": ["reset my password", "Reset my password!", None], "votes": [1, 2, 3]}
    make = {
        "pandas": lambda: frames.DataFrame(data),
        "polars": lambda: frames.DataFrame(data),
        "pyarrow": lambda: frames.table(data),
        "datasets": lambda: frames.Dataset.from_dict(data),
    }[library]
    result = detector.deduplicate(make(), text="subject", id="ticket", keep="max:votes")
    assert pl.from_arrow(result)["duplicate_of"].to_list() == ["y", None, None]
    assert result.questions.table.column("votes") == ["1", "2", "3"]
    matches = detector.match(make(), make(), text="subject", id="ticket", corpus_text="subject", corpus_id="ticket")
    assert pl.from_arrow(matches)["match_id"].to_list() == ["x", "x", None]


@pytest.mark.parametrize(
    ("probabilities", "below", "said"),
    [
        ([0.49999996, 0.5], 0, ""),
        ([0.4999994, 0.5], 1, "1 of 2 removed rows has a"),
        ([0.49999996], 0, ""),
        ([0.2], 1, "1 of 1 removed row has a"),
    ],
)
def test_rows_below_one_half_are_counted_as_they_are_written(detector, tmp_path, probabilities, below, said):
    result = detector.deduplicate(["a b", *["a b"] * len(probabilities)])
    result = dataclasses.replace(result, probability=np.array([np.nan, *probabilities]))
    written = read_table(result.write(tmp_path / "out") / "questions.csv").column("probability")
    assert sum(float(cell) < 0.5 for cell in written if cell) == below
    assert result.counts["removed_below_half"] == below
    assert result.doubt().startswith(said)
    assert bool(result.doubt()) == bool(said)


# Matching


def test_match_finds_known_questions_or_none(detector):
    corpus = ["invoice is late", "reset my password", "RESET my password", ""]
    matches = detector.match(["Reset my password?", "camera offline", "", "invoice late is"], corpus)
    assert [found and found[0].row for found in matches] == [1, None, None, 0]
    assert matches[0][0].similarity == 1.0
    assert matches[0][0].probability == 1.0
    assert len(matches.best) == 4
    assert matches.best[1] is None


def test_match_lists_at_most_top_k_best_first(detector):
    detector = detector.at(threshold=0.1)
    corpus = [f"a b c d e{i}" + " x" * i for i in range(6)]
    found = detector.match(["a b c d"], corpus, top_k=3)[0]
    assert len(found) == 3
    similarity = [match.similarity for match in found]
    assert similarity == sorted(similarity, reverse=True)
    everything = detector.similarity([("a b c d", text) for text in corpus])
    assert similarity == sorted(everything.tolist(), reverse=True)[:3]


def test_matches_to_frame(detector):
    queries = pl.DataFrame({"q": ["reset my password", "zzz", ""], "key": ["a", "b", "c"]})
    corpus = ["invoice", "Reset my password?", "reset my password please"]
    matches = detector.match(queries, corpus, text="q", id="key")
    frame = matches.to_frame()
    assert frame.columns == [
        *("row", "id", "text", "match_rank", "match_row", "match_id", "match_text", "similarity", "probability"),
    ]
    assert frame["id"].to_list() == ["a", "a", "b", "c"]
    assert frame["row"].to_list() == [0, 0, 1, 2]
    assert frame["match_rank"].to_list() == [1, 2, None, None]
    assert frame["match_row"].to_list() == [1, 2, None, None]
    assert frame["match_text"].to_list() == [*corpus[1:], None, None]
    assert frame["similarity"].to_list() == [*(match.similarity for match in matches[0]), None, None]
    assert frame["probability"][0] == 1.0
    assert frame.schema == detector.match([], ["a"]).to_frame().schema


def test_matches_are_written_a_row_per_match(detector):
    matches = detector.match(["reset my password", "zzz"], ["reset my password"])
    rows = list(matches.rows())
    assert len(matches.columns()) == len(rows[0]) == 6
    assert rows[1] == ("zzz", "", "", "", "", "")


class Unaccented(HashingEncoder):
    """Reads accents and digits away, so that different texts have the same vector."""

    def encode(self, texts, *, progress=None):
        plain = [text.translate(str.maketrans("éàü0123456789", "eau          ")) for text in texts]
        return super().encode(plain, progress=progress)


@pytest.mark.parametrize("top_k", [1, 2, 3])
@pytest.mark.parametrize("corpus", [["résume", "resume", "resumé"], ["resumé", "résume", "resume"]])
def test_the_same_text_comes_before_others_with_its_vector(calibration, corpus, top_k):
    detector = Detector(Unaccented(), calibration)
    for query in corpus:
        found = detector.match([f"{query.title()}?"], corpus, top_k=top_k)[0]
        assert len(found) == top_k
        assert (found[0].text, found[0].similarity, found[0].probability) == (query, 1, 1)
        assert len({match.row for match in found}) == top_k
        assert all(match.probability < 1 for match in found[1:])


def test_the_same_text_is_found_among_many_with_its_vector(calibration):
    corpus = [f"my plan {number}" for number in range(60)]
    matches = Detector(Unaccented(), calibration).match(corpus, corpus, top_k=1)
    assert [found[0].row for found in matches] == list(range(60))


@pytest.mark.parametrize("top_k", ["3", 1.5, 1.0, 0, -1, True, None])
@pytest.mark.parametrize("corpus", [[], ["reset my password"]])
def test_top_k_is_a_whole_number(detector, corpus, top_k):
    with pytest.raises(InputError, match="top_k must be a whole number of at least 1, not"):
        detector.match(["reset my password"], corpus, top_k=top_k)


def test_top_k_may_be_a_number_of_numpy(detector):
    assert type(detector.match(["a b"], ["a b"], top_k=np.int64(2)).top_k) is int


# Copies


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])  # noqa: S301 - our own bytes
def test_copies_hold_the_same_and_cannot_be_changed_either(detector, copied):
    texts = ["How do I pay?", "how do i pay", "", "where is my parcel"]
    result = detector.deduplicate(texts)
    other = copied(result)
    assert other.to_frame().equals(result.to_frame())
    assert list(other.pairs) == list(result.pairs)
    assert other.run == result.run
    assert other.record() == result.record()
    decisions = copied(detector.decide([("a b", "a c")]))
    for column in (other.similarity, other.duplicate_of, other.pairs.left, decisions.similarity):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1
    for run in (result.run, other.run):
        with pytest.raises(TypeError):
            run["model"] = "another"


# Why


def test_only_a_blank_text_is_said_to_be_blank(detector):
    assert detector.explain("a", " ").blank
    assert str(detector.explain("a", " ")).startswith("not duplicates: a text is blank")
    plain = detector.explain("a b", "a b c")
    assert not plain.blank
    assert "blank" not in str(plain)


def test_pairs_that_alone_hold_two_groups_together_are_shown_first(detector, tmp_path):
    """Two groups of like texts, and one text of each that are alike."""
    groups = [["a b c d e f g one", "a b c d e f g two", "a b c d e f z one"], ["k b c d l m n o", "k b x d l m n o"]]
    link = ["a b c d e f g k"]
    texts = [*groups[0], *groups[1], *link]
    found = detector.at(threshold=0.6).deduplicate(texts)
    oracle = {}
    edges = [(pair.left, pair.right) for pair in found.pairs]
    for edge in edges:
        rest = nx.Graph([other for other in edges if other != edge])
        rest.add_nodes_from(range(len(texts)))
        parts = [nx.node_connected_component(rest, row) for row in edge]
        oracle[edge] = 0 if parts[0] == parts[1] else min(map(len, parts))
    assert {(pair.left, pair.right): pair.bridge for pair in found.pairs} == oracle
    folder = found.write(tmp_path / "out")
    assert [int(row) for row in read_table(folder / "pairs.csv").column("bridge")] == [
        pair.bridge for pair in found.pairs
    ]
    page = (folder / "report.html").read_text("utf-8")
    assert ("Weak links" in page) == any(bridge >= 2 for bridge in oracle.values())


def test_weak_links_come_by_their_similarity(detector, tmp_path):
    left = ["p q r s t u v w", "p q r s t u v ww", "p q r s t u v www"]
    right = ["a b c d t u v w", "a b c d t u v ww", "a b c d t u v www"]
    found = detector.at(threshold=0.45).deduplicate([*left, *right])
    strict = detector.at(threshold=0.7).deduplicate([*left, *right])
    assert strict.counts["clusters"] == 2
    assert "Weak links" not in (strict.write(tmp_path / "strict") / "report.html").read_text("utf-8")
    assert found.counts["clusters"] == 1


def test_the_estimate_is_the_sum_of_the_probabilities(detector):
    found = detector.deduplicate(["a b c d e f g one", "a b c d e f g two", "a b c d e f z one", "A b c d e f g one?"])
    different = [pair.probability for pair in found.pairs if not pair.same_text]
    assert len(different) < len(found.pairs)
    assert f"Estimated: {round(sum(different))} of the {len(different)} pairs" in found.estimate()
    assert detector.deduplicate(["a", "b", "A"]).estimate() == ""


def test_what_is_missed_is_told_from_the_labelled_pairs(detector):
    texts = ["a b c d e f g one", "a b c d e f g two", "a b c d e f z one"]
    sample = detector.calibration.sample
    cut = float(np.quantile(sample.similarity[sample.label], 0.9))
    all_found, few = (percent(float(np.mean(sample.similarity[sample.label] >= at))) for at in (0.7, cut))
    for found, share in ((detector, all_found), (detector.at(threshold=cut), few)):
        assert f"labelled pairs {share} reach this threshold; the others" in found.deduplicate(texts).missed()
    possible = detector.deduplicate(texts, estimated_precision=0.99)
    assert possible.possible is not None
    assert f"reach this threshold, and {all_found} are at least possible; the others" in possible.missed()
    assert possible.record()["missed"] == possible.missed()
    assert detector.at(threshold=-1.0).deduplicate(texts).missed().endswith("100 % reach this threshold.")


def test_lines_of_pairs_are_those_of_the_pairs_however_many_are_written_at_once(detector, tmp_path, monkeypatch):
    texts = [f"{'a b c d e f g'[:k]} {word}" for k in (5, 9, 13) for word in ("one", "two", "six")]
    found = detector.deduplicate([*texts, *texts[::3], ""])
    columns = {name: getattr(found.pairs, name)[::2] for name in ("left", "right", "similarity", "probability")}
    reasons = np.arange(len(columns["left"]))[:, None] & (1 << np.arange(len(REASONS))) > 0
    found = dataclasses.replace(
        found, possible=PossiblePairs(**columns), ruled_out=RuledOutPairs(**columns, reasons=reasons)
    )
    folders = [found.write(tmp_path / "whole")]
    monkeypatch.setattr(cells, "_LINES_AT_ONCE", 2)
    folders.append(found.write(tmp_path / "parts"))
    for name in (name for name in OUTPUT_FILES if name.endswith(".csv")):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()

    def expected(left, right, similarity, probability, more, *, once=False):
        sizes = ("1" if once else str(np.sum(found.text_of == found.text_of[side])) for side in (left, right))
        names = (found.questions.ids[left], found.questions.ids[right], str(left + 1), str(right + 1))
        asked = (found.questions.texts[left], found.questions.texts[right])
        return (*names, str(np.float32(similarity)), f"{probability:.6f}", *more, *sizes, *asked)

    assert read_table(folders[1] / "pairs.csv").rows == tuple(
        expected(
            *(pair.left, pair.right, pair.similarity, pair.probability),
            ("true" if pair.same_text else "false", str(pair.bridge)),
            once=pair.same_text,
        )
        for pair in found.pairs
    )
    some = list(zip(*(column.tolist() for column in columns.values()), strict=True))
    assert len(some) > 3
    assert read_table(folders[1] / "possible.csv").rows == tuple(expected(*pair, ()) for pair in some)
    assert [dataclasses.astuple(pair) for pair in found.possible] == some
    assert [dataclasses.astuple(pair) for pair in found.ruled_out] == [
        (*pair, names) for pair, names in zip(some, found.ruled_out.names, strict=True)
    ]
    named = ["; ".join(name for name, fires in zip(REASONS, row, strict=True) if fires) for row in reasons]
    assert read_table(folders[1] / "ruled_out.csv").rows == tuple(
        expected(*pair, (names,)) for pair, names in zip(some, named, strict=True)
    )


def test_a_text_that_many_rows_hold_is_named(detector):
    texts = ["Contact form"] * 30 + [f"a{n} b{n} c{n}" for n in range(70)]
    said = "30 rows have the same text, 'contact form'."
    assert any(note.startswith(said) for note in detector.deduplicate(texts).notes)
    for few in (["Contact form"] * 19 + texts[30:], texts + [f"d{n} e{n} f{n}" for n in range(1500)]):
        assert not any("have the same text" in note for note in detector.deduplicate(few).notes)


def test_a_result_is_shown_without_its_texts(detector):
    result = detector.deduplicate(["Reset my secret", "reset MY secret", "Where is it?"])
    assert repr(result) == "<Deduplication: 3 rows = 2 kept + 1 duplicates, threshold 0.7000>"
