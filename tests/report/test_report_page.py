"""report.html as text: everything is in it or named as left out, counts add up, and what users wrote stays text."""

import html
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
from table_files import workbook

from dupdetect import Detector, QuestionIndex, Questions
from dupdetect.calibration import Calibration, CalibrationSample
from dupdetect.cli import main
from dupdetect.guards import Guards
from dupdetect.tables import read_table


class Page(HTMLParser):
    """The elements of a page, (name, attributes), and its visible text."""

    VOID = frozenset({"meta", "input", "br", "line", "rect", "circle", "polyline"})

    def __init__(self, source):
        super().__init__()
        self.source, self.elements, self.open, self.words = source, [], [], []
        self.feed(source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(result, folder):
    page = Page((result.write(folder) / "report.html").read_text(encoding="utf-8"))
    assert page.open == [], "every element is closed"
    return page


def csv_of(path, texts):
    path.write_text("\n".join(["question", *texts]) + "\n", encoding="utf-8")
    return path


def commands_of(page):
    return [shlex.split(html.unescape(line)) for line in re.findall("<pre><code>(.*?)</code></pre>", page.source)]


def random_questions(n, seed=0):
    """Questions of which many are near duplicates, in chains, and some are repeats."""
    random = np.random.default_rng(seed)
    words = [f"w{number}" for number in range(40)]
    found = []
    for _ in range(n):
        if found and random.random() < 0.6:
            text = found[int(random.integers(len(found)))].split()
            if random.random() < 0.8:
                text[int(random.integers(len(text)))] = str(random.choice(words))
            found.append(" ".join(text))
        else:
            found.append(" ".join(random.choice(words, 8)))
    return found


def test_what_users_wrote_is_text_and_the_one_script_is_ours(detector, tmp_path):
    attack = "<script>alert(1)</script><img src=x onerror=alert(2)> a b c </script></style>"
    frame = pl.DataFrame({"<b>": [attack, attack + "!"], 'i"d': ["<i>1", '"><script>2']})
    page = page_of(detector.deduplicate(frame, text="<b>", id='i"d'), tmp_path / "out")
    assert len(page.of("script")) == 1
    assert not page.of("img") + page.of("b") + page.of("i")
    assert "&lt;script&gt;alert(1)" in page.source
    assert "<i>1" in page.text


def test_the_page_allows_its_own_style_and_script_alone_and_loads_nothing(detector, tmp_path):
    page = page_of(detector.deduplicate(["a b", "a b"]), tmp_path / "out")
    policy = next(meta["content"] for meta in page.of("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    attributes = [set(attributes) for _, attributes in page.elements]
    assert not set().union(*attributes) & {"src", "style", "onclick", "onload", "action", "srcset"}
    assert all(link["href"].startswith("#") for link in page.of("a"))
    assert not page.of("link")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in page.of("a")} <= set(ids)


def test_titles_are_free_of_markup_and_rows_show_their_cells(detector, tmp_path):
    cell = "<style>p{color:red}</style><div>How do I\n<b>reset</b> &amp; change 5 &lt; 6 it?</div>"
    page = page_of(detector.deduplicate([cell, cell + "!", "List<String> a b", "list<string> a b"]), tmp_path / "out")
    titles = re.findall("<summary><h3><bdi>(.*)</bdi></h3>", page.source)
    assert sorted(titles) == ["How do I reset &amp; change 5 &lt; 6 it?", "List&lt;String&gt; a b"]
    assert '<p class="text" dir="auto">&lt;style&gt;p{color:red}' in page.source


def test_long_texts_are_shown_by_their_beginning(detector, tmp_path):
    long = "word " * 40_000
    folder = detector.deduplicate({"text": [long, long + "x", "short", "short"]}, text="text").write(tmp_path / "out")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert len(page) < 60_000
    assert page.count("199,000 more characters") == 1
    assert page.count("199,001 more characters") == 1
    assert "in full in questions.csv" in page
    assert read_table(folder / "questions.csv").column("text")[0] == long


def test_a_cluster_names_its_weakest_pair(detector, tmp_path):
    texts = ["a b c d e f g one", "a b c d e f g two", "a b c d e f z one"]
    found = detector.at(threshold=0.6).deduplicate(texts)
    weakest = min(pair.similarity for pair in found.pairs)
    assert f"weakest pair {weakest:.3f}" in page_of(found, tmp_path / "out").text


@pytest.mark.parametrize("seed", range(3))
def test_every_removed_row_is_shown_once_below_the_row_that_stays_for_it(detector, tmp_path, seed):
    result = detector.deduplicate(random_questions(60, seed))
    page = page_of(result, tmp_path / "out")
    clusters = page.source.split('<ol id="cluster-list">')[1].split("</ol>")[0]
    assert "more rows are in questions.csv" not in clusters
    seen = {}
    for block in clusters.split('<li class="stays">')[1:]:
        lines = [line for line in re.findall('<p class="tag">(.*?)</p>', block, re.DOTALL) if "only in" not in line]
        stays, *removed = (re.findall("<bdi>(.*?)</bdi>", line) for line in lines)
        seen |= dict.fromkeys(stays, None)
        seen |= {row: stays[0] for rows in removed for row in rows}
    in_clusters = [row for cluster in result.clusters for row in cluster.rows]
    names = result.questions.ids
    wanted = {
        names[row]: None if result.duplicate_of[row] < 0 else names[result.duplicate_of[row]] for row in in_clusters
    }
    assert seen == wanted


def test_the_counts_of_the_page_add_up(detector, tmp_path):
    result = detector.deduplicate(["a b", "a b", "c d", "", "a b c d e f g one", "a b c d e f g two"])
    page = page_of(result, tmp_path / "out")
    for table in re.findall('<table class="sum">(.*?)</table>', page.source, re.DOTALL):
        *parts, total = (int(cell) for cell in re.findall("<td>(.*?)</td>", table))
        assert sum(parts) == total == 6


def test_the_most_doubtful_clusters_come_first(detector, tmp_path):
    result = detector.at(threshold=0.6).deduplicate(random_questions(80))
    page = page_of(result, tmp_path / "out")
    weakest = [float(value) for value in re.findall(r"weakest pair (\S+?)(?:\s|<)", page.source)]
    assert len(weakest) > 5
    assert weakest == sorted(weakest)
    sizes = [(int(at["data-place"]), int(at["data-size"])) for at in page.of("li") if "data-place" in at]
    assert [size for _, size in sorted(sizes)] == sorted((size for _, size in sizes), reverse=True)


def test_what_does_not_fit_is_counted_and_its_file_is_named(detector, tmp_path, monkeypatch):
    result = detector.deduplicate(random_questions(200))
    whole = page_of(result, tmp_path / "whole")
    assert "the page has no room for more" not in whole.text
    rest = len(whole.source.split('<ol id="cluster-list">')[0]) + len(whole.source.split("</ol>", 1)[1])
    most = rest + (len(whole.source) - rest) // 2
    monkeypatch.setattr("dupdetect.report.page.LARGEST_PAGE", most)
    page = page_of(result, tmp_path / "out")
    shown = [at for at in page.of("li") if at.get("class") == "cluster"]
    said = re.search(r"Here are (\d+) of (\d+) clusters\s?, the (\d+) largest and the (\d+) most doubtful", page.text)
    number, total, largest, doubtful = map(int, said.groups())
    assert (number, total) == (len(shown), len(result.clusters))
    assert 0 < number < total
    places = {int(at["data-place"]) for at in shown}
    assert set(range(1, largest + 1)) <= places
    order = [at["data-place"] for at in whole.of("li") if at.get("class") == "cluster"]
    assert {int(place) for place in order[:doubtful]} <= places
    assert len(page.source.encode()) <= most + 500, "but for the sentence that says so"
    assert "All are in questions.csv" in page.text


def test_of_a_large_cluster_the_rest_is_counted(detector, tmp_path):
    texts = [f"a b c d e f g h {number}" for number in range(40)] + ["A b c d e f g h 0"] * 30
    result = detector.deduplicate(texts)
    assert len(result.clusters) == 1
    page = page_of(result, tmp_path / "out")
    left_out = int(re.search(r"Of this cluster (\d+) more rows are in questions.csv, with 1 as", page.text)[1])
    repeats = int(re.search(r"and (\d+) more rows: the same text", page.text)[1])
    assert left_out == 40 - 25
    assert repeats == 30 - 10


def test_words_that_differ_are_marked(detector, tmp_path):
    page = page_of(detector.deduplicate(["a b c d e f g One.", "a b c d e f g two x"]), tmp_path / "out")
    assert "a b c d e f g <mark>two x</mark>" in page.source
    assert "only in the kept text: <bdi>one</bdi>" in page.source


def test_guards_are_shown_with_the_pairs_that_they_rule_out(encoder, calibration, tmp_path):
    detector = Detector(encoder, calibration, guards=Guards(0.3)).at(threshold=0.7)
    result = detector.deduplicate(["what is the error code 403 <x>", "what is the error code 404 <x>"])
    assert result.counts["pairs_ruled_out"] == 1
    page = page_of(result, tmp_path / "out")
    assert "<summary>numbers (1)</summary>" in page.source
    assert "<mark>403</mark> &lt;x&gt;" in page.source
    assert "<mark>404</mark> &lt;x&gt;" in page.source


def test_possible_duplicates_are_shown_likeliest_first_and_counted(encoder, calibration, tmp_path):
    detector = Detector(encoder, calibration).at(threshold=0.4)
    result = detector.deduplicate(random_questions(150), estimated_precision=0.97)
    assert len(result.possible) > 50
    page = page_of(result, tmp_path / "out")
    section = page.source.split('<section id="possible"')[1].split("</section>")[0]
    shown = [float(value) for value in re.findall(r"similarity (\S+),", section)]
    assert shown == [round(float(value), 3) for value in result.possible.similarity[:50]]
    assert f"{len(result.possible):,} more pairs may be duplicates" in page.text
    assert "All are in possible.csv" in page.text
    assert "estimated_precision=0.8" in page.text


@pytest.mark.parametrize("texts", [[], [""], ["one", "two"], ["a b", "a b"]])
@pytest.mark.parametrize("threshold", [-1.0, 0.7, 1.0])
def test_there_is_a_page_for_any_result(detector, tmp_path, texts, threshold):
    result = detector.at(threshold=threshold).deduplicate(texts)
    page = page_of(result, tmp_path / "out")
    assert f"{result.counts['removed']} of {len(texts)} questions seem" in page.text
    assert "nan" not in page.source.replace("names", "")


def test_what_is_certified_says_so_and_what_is_not_too(detector, calibration, tmp_path):
    texts = ["a b c d e f g one", "a b c d e f g two"]
    by_hand = page_of(detector.deduplicate(texts), tmp_path / "hand")
    assert "The threshold was set by hand." in by_hand.text
    best = Detector(detector.encoder, calibration)
    assert "Not certified." in page_of(best.deduplicate(texts), tmp_path / "best").text
    certified = page_of(best.at(min_precision=0.8).deduplicate(texts), tmp_path / "certified")
    assert "Certified on the labelled pairs, not on this file." in certified.text
    assert "Not certified" not in certified.text
    assert "with 95 % confidence" in certified.text
    assert "label some of its pairs" in certified.text
    sample = best.at(min_precision=0.8).calibration.sample
    weighted = CalibrationSample.of(sample.similarity, sample.label, sample.group, label_count=len(sample))
    reviewed = replace(best.at(min_precision=0.8).calibration, sample=weighted)
    here = page_of(Detector(detector.encoder, reviewed).deduplicate(texts), tmp_path / "reviewed")
    assert "Certified on the export that was reviewed." in here.text
    assert "label some of its pairs" in here.text, "it may be another one"
    export = Questions.read(csv_of(tmp_path / "some.csv", texts), text="question")
    for number, (reviewed_export, is_it) in enumerate(
        (("some.csv", True), ("some.csv that the approximate search finds", True), ("some.csv.gz", False))
    ):
        maker = Detector(detector.encoder, replace(reviewed, data=f"a review of {reviewed_export}"))
        page = page_of(maker.deduplicate(export), tmp_path / f"reviewed-{number}")
        assert ("label some of its pairs" not in page.text) == is_it


def test_only_a_cluster_of_equal_texts_is_called_the_same_text(detector, tmp_path):
    same, other = "a b c d e f g one", "a b c d e f g two"
    page = page_of(detector.at(threshold=0.5).deduplicate([same, same, "z y x w v u t", other]), tmp_path / "out")
    assert "weakest pair" in page.text
    assert ", the same text" not in page.text
    page = page_of(detector.at(threshold=0.5).deduplicate([same, same.upper()]), tmp_path / "equal")
    assert ", the same text" in page.text


def test_the_commands_keep_the_prevalence_and_excel_safe(detector, calibration, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.csv").write_text("question\na b\nA b\n")
    best = Detector(detector.encoder, calibration)
    for maker, safe in ((best, False), (best.at(prevalence=0.03), True)):
        result = maker.deduplicate(Questions.read("some.csv", text="question"))
        page = Page((result.write("out", excel_safe=safe, overwrite=True) / "report.html").read_text(encoding="utf-8"))
        lines = commands_of(page)
        assert all(("--excel-safe" in words) == safe for words in lines[2:])
        assert "--prevalence" not in lines[2]
        assert all(("--prevalence" in words) == safe for words in lines[3:])


def test_the_same_result_gives_the_same_page(detector, tmp_path):
    texts = random_questions(50)
    first, second = (detector.deduplicate(texts).write(tmp_path / name) for name in ("one", "two"))
    assert (first / "report.html").read_bytes() == (second / "report.html").read_bytes()


# Commands


def test_the_commands_read_the_same_file_again_and_parse(detector, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with open('-it\'s "my" $export;.csv', "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write("the id,-body text,votes\nx,a b,1\ny,a b,2\n")
    asked = Questions.read('./-it\'s "my" $export;.csv', text="-body text", id="the id")
    page = page_of(detector.deduplicate(asked, keep="max:votes"), "-out dir")
    lines = commands_of(page)
    assert [words[1] for words in lines] == ["review", "calibrate", *["dedupe"] * 5]
    for words in lines[2:]:
        assert words[2] == './-it\'s "my" $export;.csv'
        assert "--text=-body text" in words
        assert words[words.index("--id") + 1] == "the id"
        assert words[words.index("--keep") + 1] == "max:votes"
        assert words[words.index("-o") + 1] == "./-out dir"
    # They are what the command line takes: it complains of the detector, which is not there, and of nothing before.
    with pytest.raises(SystemExit):
        main(lines[2][1:])
    assert "-out dir.detector" in capsys.readouterr().err


def test_the_commands_say_how_the_file_was_read(detector, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [["question", "-"], ["a b", "1"], ["A b", "2"]]
    (tmp_path / "book.xlsx").write_bytes(workbook({"-FAQ 2": rows, "Old": rows}))
    (tmp_path / "odd.csv").write_bytes("question#x\na é#1\nA é\n".encode("cp437"))
    odd = {"encoding": "cp437", "delimiter": "#", "on_bad_rows": "keep"}
    for name, given, words in (
        ("book.xlsx", {"sheet": "-FAQ 2"}, ["--sheet=-FAQ 2"]),
        ("odd.csv", odd, ["--encoding", "cp437", "--delimiter", "#", "--on-bad-rows", "keep"]),
    ):
        asked = Questions.read(name, text="question", **given)
        page = page_of(detector.deduplicate(asked, without_boilerplate=False), tmp_path / f"{name}.out")
        for line in commands_of(page)[2:]:
            assert shlex.join(words) in shlex.join(line)
            assert "--with-boilerplate" in line
        # Without the detector of the test they run as they are, and read the same.
        line = commands_of(page)[3]
        again = [word for word in line if word not in ("--model", detector.name, "--overwrite")]
        with pytest.raises(SystemExit) as stop:
            main([*again[1:], "--overwrite"])
        assert stop.value.code == 0, capsys.readouterr().err
        assert "2 rows = 1 kept" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["mine", "dupdetect-fast"])
def test_the_commands_for_an_index_are_of_an_index(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    maker = replace(Detector.from_pretrained(tier="fast"), name=name)
    with QuestionIndex.create("faq", maker) as index:
        index.add(["How do I pay?", "how do i pay", "How can I pay?", "Where is my parcel?"])
        page = page_of(index.duplicates(), "out")
    lines = commands_of(page)
    assert [words[1:3] for words in lines[:2]] == [["review", "out"], ["calibrate", "--from-reviews"]]
    assert ("--model" in lines[1]) == (name == "mine")
    assert lines[2][1:] == ["index", "rebuild", "faq", "faq-2", "--model", "out.detector"]
    for words in lines[3:]:
        assert words[1:3] == ["index", "duplicates"]
        assert words[4:7] == ["-o", "out", "--overwrite"]
    # They run, those of the steps with what is there in place of what a review would give.
    ran = [["index", "rebuild", "faq", "faq-2", "--model", "faq/detector"], *(words[1:] for words in lines[3:])]
    for words in ran:
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0, capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(lines[1][1:])
    assert "nobody has labelled a pair" in capsys.readouterr().err


def test_what_was_handed_over_in_memory_has_lines_of_python(detector, tmp_path):
    page = page_of(detector.deduplicate(["a b", "a b"], keep="longest"), tmp_path / "out")
    lines = [html.unescape(line) for line in re.findall("<pre><code>(.*?)</code></pre>", page.source)]
    assert len(lines) == 4
    for line in lines:
        scope = {"detector": detector, "questions": ["a b", "a b"]}
        exec(line, scope)  # noqa: S102 - they are there to be run
        assert scope["found"].counts["rows"] == 2


def test_labels_of_a_review_offer_no_other_certificate(detector, tmp_path):
    rng = np.random.default_rng(0)
    score = rng.uniform(0.3, 1, 120).round(3)
    label = score > 0.6
    reviewed = Calibration.fit(
        np.repeat(score, 3),
        np.repeat(label, 3),
        groups=np.repeat(np.arange(120), 3),
        encoder=detector.encoder.fingerprint,
        label_count=120,
        data="a review of export.csv",
    )
    export = tmp_path / "export.csv"
    export.write_text("question\na b\na b\n", encoding="utf-8")
    result = Detector(detector.encoder, reviewed, "mine").deduplicate(Questions.read(export))
    page = page_of(result, tmp_path / "out")
    assert not any("--min-precision" in words for words in commands_of(page)[2:])
    assert "a review of export.csv" in page.text
    assert "pairs, weighted" in page.text
