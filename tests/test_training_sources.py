import json
import subprocess
import sys

import numpy as np
import pytest

from dupdetect import QuestionPairs
from dupdetect.errors import (
    ColumnNotFoundError,
    EmptyInputError,
    InputError,
    InvalidLabelError,
    MissingExtraError,
)
from dupdetect.training.sources import load_pairs, require_both_labels

LEFT = ["How do I reset it?", "Where is the invoice?", "Can I cancel?", "Is it open?"]
RIGHT = ["How can it be reset?", "Where do I find my bill?", "Do you ship abroad?", "Is the shop open?"]
COLUMNS = {"question1": LEFT, "question2": RIGHT, "is_duplicate": [1, 1, 0, 1]}
ROWS = list(zip(LEFT, RIGHT, [1, 1, 0, 1], strict=True))


@pytest.fixture(scope="session")
def datasets():
    return pytest.importorskip("datasets", reason="the extra `train` is not installed")


def write_csv(path):
    path.write_text("question1,question2,is_duplicate\n" + "".join(f"{a},{b},{c}\n" for a, b, c in ROWS))


def write_json_lines(path):
    keys = list(COLUMNS)
    path.write_text("".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in ROWS))


def write_parquet(path):
    import polars as pl

    pl.DataFrame(COLUMNS).write_parquet(path)


@pytest.mark.parametrize(
    ("name", "write"), [("p.csv", write_csv), ("p.jsonl", write_json_lines), ("p.parquet", write_parquet)]
)
def test_files(tmp_path, name, write):
    write(tmp_path / name)
    assert list(load_pairs(tmp_path / name).to_rows()) == ROWS
    assert list(load_pairs(str(tmp_path / name)).to_rows()) == ROWS
    named = load_pairs(tmp_path / name, left="question2", right="question1", label="is_duplicate")
    assert named.left == tuple(RIGHT)


def test_data_frames():
    import polars as pl

    assert list(load_pairs(pl.DataFrame(COLUMNS)).to_rows()) == ROWS
    assert list(load_pairs(COLUMNS).to_rows()) == ROWS


def test_streamed_files_give_the_same(tmp_path, datasets):
    write_parquet(tmp_path / "p.parquet")
    write_csv(tmp_path / "p.csv")
    assert list(load_pairs(tmp_path / "p.parquet", streaming=True).to_rows()) == ROWS
    assert list(load_pairs(tmp_path / "p.csv", streaming=True).to_rows()) == ROWS


def test_data_sets_in_memory(datasets):
    data = datasets.Dataset.from_dict(COLUMNS | {"vector": [[0.0]] * 4})
    assert list(load_pairs(data).to_rows()) == ROWS
    assert list(load_pairs(data.to_iterable_dataset()).to_rows()) == ROWS
    assert list(load_pairs(data.with_format("numpy")).to_rows()) == ROWS
    assert list(load_pairs(data.select([3, 0])).to_rows()) == [ROWS[3], ROWS[0]]
    assert list(load_pairs(datasets.DatasetDict(only=data)).to_rows()) == ROWS
    assert list(load_pairs(datasets.IterableDatasetDict(only=data.to_iterable_dataset())).to_rows()) == ROWS


def test_a_stream_that_does_not_know_its_columns(datasets):
    def rows():
        for left, right, label in ROWS:
            yield {"text1": left, "text2": right, "label": label}

    stream = datasets.IterableDataset.from_generator(rows)
    assert stream.column_names is None
    assert list(load_pairs(stream).to_rows()) == ROWS


def test_long_data_sets_are_read_in_pieces(datasets, monkeypatch):
    monkeypatch.setattr("dupdetect.training.sources._CHUNK_ROWS", 3)
    assert list(load_pairs(datasets.Dataset.from_dict(COLUMNS)).to_rows()) == ROWS


def test_folders_and_their_splits(tmp_path, datasets):
    data = datasets.Dataset.from_dict(COLUMNS)
    data.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=data, test=data.select([0])).save_to_disk(tmp_path / "two")
    assert list(load_pairs(tmp_path / "one").to_rows()) == ROWS
    assert list(load_pairs(tmp_path / "two", split="test").to_rows()) == ROWS[:1]
    with pytest.raises(InputError, match="several splits: 'train', 'test'"):
        load_pairs(tmp_path / "two")
    with pytest.raises(InputError, match=r"no split 'dev'\. Splits: 'train', 'test'"):
        load_pairs(tmp_path / "two", split="dev")
    with pytest.raises(InputError, match="no split 'dev'"):
        load_pairs(tmp_path / "one", split="dev")


def test_a_folder_of_something_else_or_damaged(tmp_path, datasets):
    with pytest.raises(InputError, match="not written by `save_to_disk`"):
        load_pairs(tmp_path)
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        load_pairs(tmp_path)


@pytest.mark.parametrize(
    ("names", "codes"), [(["not duplicate", "duplicate"], [1, 1, 0, 1]), (["duplicate", "distinct"], [0, 0, 1, 0])]
)
def test_the_names_of_classes_decide_what_a_code_means(datasets, names, codes):
    features = datasets.Features(
        {"left": datasets.Value("string"), "right": datasets.Value("string"), "label": datasets.ClassLabel(names=names)}
    )
    data = datasets.Dataset.from_dict({"left": LEFT, "right": RIGHT, "label": codes}, features=features)
    assert list(load_pairs(data).to_rows()) == ROWS
    assert list(load_pairs(data.to_iterable_dataset()).to_rows()) == ROWS


def test_classes_whose_names_say_nothing_and_rows_without_label(datasets):
    def with_labels(names, codes):
        label = datasets.ClassLabel(names=names)
        text = datasets.Value("string")
        features = datasets.Features({"left": text, "right": text, "label": label})
        return datasets.Dataset.from_dict({"left": LEFT, "right": RIGHT, "label": codes}, features=features)

    with pytest.raises(InputError, match=r"'entailment', 'neutral'.*cast_column"):
        load_pairs(with_labels(["entailment", "neutral"], [0, 1, 0, 1]))
    with pytest.raises(InvalidLabelError, match="label -1"):
        load_pairs(with_labels(["0", "1"], [-1, -1, -1, -1]))


def test_labels_as_text_and_drops_are_counted(datasets):
    left = ["a", "a", "b", "b", "c", "", None, "d", "e"]
    right = ["b", "b", "a", "c", "b", "x", "y", "D", "f"]
    label = ["yes", "yes", "yes", "no", "yes", "no", "no", "yes", "No"]
    pairs = load_pairs(datasets.Dataset.from_dict({"text1": left, "text2": right, "label": label}))
    assert list(pairs.to_rows()) == [("a", "b", 1), ("e", "f", 0)]
    assert pairs.dropped.to_dict() == {"blank": 2, "self_pairs": 1, "contradictions": 2, "repeats": 2}


def test_missing_columns_are_named(datasets):
    data = datasets.Dataset.from_dict(COLUMNS)
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'is_duplicate'"):
        load_pairs(data, label="isduplicate")
    with pytest.raises(InputError, match="label="):
        load_pairs(data.remove_columns("is_duplicate"))
    with pytest.raises(InputError, match=r"left=\.\.\., right="):
        load_pairs(data.remove_columns("question2"))


def test_nothing_usable_says_why(datasets):
    blank = datasets.Dataset.from_dict({"left": ["", "x"], "right": ["b", "X"], "label": [1, 0]})
    with pytest.raises(EmptyInputError, match="1 blank, 1 self pairs"):
        load_pairs(blank)
    with pytest.raises(EmptyInputError, match="no columns"):
        load_pairs(datasets.Dataset.from_dict({}))


def test_both_labels_where_they_are_needed():
    both = QuestionPairs.from_columns(["a", "c"], ["b", "d"], [1, 0])
    require_both_labels(both, "The contrastive objective")
    with pytest.raises(InputError, match=r"contrastive objective needs .* none of the 1 pairs is not duplicate"):
        require_both_labels(both.select([0]), "The contrastive objective")
    with pytest.raises(InputError, match=r"none of the 1 pairs is duplicate \(label 1\)"):
        require_both_labels(both.select([1]), "Calibration")


def test_options_that_mean_nothing_are_refused(tmp_path):
    write_csv(tmp_path / "p.csv")
    with pytest.raises(InputError, match="no split 'train' to choose"):
        load_pairs(tmp_path / "p.csv", split="train")
    with pytest.raises(InputError, match="no revision 'main'"):
        load_pairs(COLUMNS, revision="main")
    with pytest.raises(InputError, match="no split"):
        load_pairs(COLUMNS, split="train")
    with pytest.raises(InputError):
        load_pairs(3)


@pytest.mark.parametrize("name", ["no such file.csv", "missing.parquet", "a/b/c", "owner/name.jsonl"])
def test_files_that_are_not_there_are_not_sought_on_the_hub(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=name):
        load_pairs(name)


def test_the_hub_is_asked_for_what_was_named_and_for_no_code(datasets, monkeypatch):
    asked = []

    def load_dataset(*names, **options):
        asked.append((names, options))
        return datasets.Dataset.from_dict(COLUMNS)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert list(load_pairs("owner/name:config", split="train", revision="v1", streaming=True).to_rows()) == ROWS
    load_pairs("name")
    assert asked == [
        (("owner/name", "config"), {"split": "train", "revision": "v1", "streaming": True}),
        (("name", None), {"split": None, "revision": None, "streaming": False}),
    ]


def test_a_hub_that_cannot_be_reached(tmp_path, datasets):
    code = "from dupdetect.training.sources import load_pairs; load_pairs('owner/name', split='train')"
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("dupdetect.errors.InputError: 'owner/name' is no file or folder here")
    assert "save_to_disk" in last


def test_a_stream_that_breaks_is_the_hubs_fault(datasets, monkeypatch):
    def rows():
        yield {"left": "a", "right": "b", "label": 1}
        raise ConnectionError("the line went dead")

    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.IterableDataset.from_generator(rows))
    with pytest.raises(InputError, match=r"hub \(the line went dead\)"):
        load_pairs("owner/name", split="train", streaming=True)


def test_without_the_extra_the_pip_line_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    (tmp_path / "state.json").write_text("{}")
    for source in ("owner/name", tmp_path):
        with pytest.raises(MissingExtraError, match=r'pip install "dupdetect\[train\]"'):
            load_pairs(source)
    write_csv(tmp_path / "p.csv")
    assert np.array_equal(load_pairs(tmp_path / "p.csv").labels, [True, True, False, True])
