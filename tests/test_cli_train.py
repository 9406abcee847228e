"""`dupdetect train`: from a file of pairs to a detector folder, interrupted or not; and what it refuses at once."""

import contextlib
import csv
import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")
pytest.importorskip("onnxscript")

from sentence_transformers import SentenceTransformer  # noqa: E402
from tiny_bert import made_up_pairs, make_tiny_bert  # noqa: E402

import dupdetect.cli.train  # noqa: E402
from dupdetect import Detector, canonical  # noqa: E402
from dupdetect.artifacts import MANIFEST  # noqa: E402
from dupdetect.cli import main  # noqa: E402
from dupdetect.errors import ArtifactError  # noqa: E402
from dupdetect.training import TrainingConfig  # noqa: E402

SETTINGS = {"batch_size": 16, "evaluate_every": 10, "checkpoint_every": 8, "precision": "float32", "epochs": 9.0}
FLAGS = ["--epochs", "0.8", "--learning-rate", "0.002", "--seed", "1"]


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder with pairs.csv, config.json and the base in model/."""
    folder = tmp_path_factory.mktemp("train")
    make_tiny_bert(folder)
    with (folder / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("question1", "question2", "label"), *made_up_pairs(900, seed=3).to_rows()])
    (folder / "config.json").write_text(json.dumps({**SETTINGS, "base": str(folder / "model")}), encoding="utf-8")
    return folder


def arguments(place, output, *more):
    given = ["train", place / "pairs.csv", "-o", output, "--config", place / "config.json", *FLAGS, *more]
    return [str(argument) for argument in given]


def status_of(given):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in given])
    return stop.value.code


def fails(capsys, *given, status=1):
    """Run a command that must fail before anything is trained; return the line that says why."""
    assert status_of(given) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert "Fine-tuning" not in err
    assert "Traceback" not in err
    return err.strip().splitlines()[-1]


@pytest.fixture(scope="session")
def trained(place):
    """The folder of a training that ran through, with what it printed."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = status_of(arguments(place, place / "mine"))
    assert status == 0, err.getvalue()
    return place / "mine", err.getvalue().splitlines(), out.getvalue().strip()


# What comes out.


def test_each_step_is_named_and_the_result_is_shown_beside_the_base(trained):
    folder, said, printed = trained
    steps = (
        "Reading ", "Exporting and calibrating the base model", "Fine-tuning on ", "Exporting to ONNX",
        "Calibrating on ", "Measuring on ", f"Writing {folder}",
    )  # fmt: skip
    found = [step for line in said for step in steps if line.startswith(step)]  # bars may stand between
    assert found == list(steps)
    assert "average precision  " in printed
    assert "raining" in printed.splitlines()[-2]
    assert printed.endswith(f"written to {folder}/ (start with README.md)")
    assert not folder.with_name("mine.training").exists()


def test_the_folder_is_a_detector_and_a_sentence_transformers_model(trained, place):
    folder, _, _ = trained
    detector = Detector.from_pretrained(folder)
    assert detector.name == "mine"
    assert "pairs.csv, split by question with seed 1" in detector.require_calibration().data
    model, base = (SentenceTransformer(str(path), device="cpu") for path in (folder, place / "model"))
    assert model.max_seq_length == base.max_seq_length == 40
    texts = [canonical(text) for text in made_up_pairs(40, seed=5).left]
    cosine = (model.encode(texts, show_progress_bar=False) * detector.encoder.encode(texts)).sum(1)
    assert cosine.min() > 0.97
    changed = model.encode(texts, show_progress_bar=False) - base.encode(texts, show_progress_bar=False)
    assert np.abs(changed).max() > 0.01


def test_every_file_is_covered_by_a_checksum(trained, tmp_path):
    folder, _, _ = trained
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files - {MANIFEST, "README.md"} == set(json.loads((folder / MANIFEST).read_text())["files"])
    assert files >= {
        "README.md", "model.onnx", "tokenizer.json", "evidence.npz", "model.safetensors", "modules.json",
        "1_Pooling/config.json", "training.json", "metrics.jsonl", "learning_curve.svg", "evaluation.json",
    }  # fmt: skip
    for name, change in (("model.safetensors", b"x"), ("1_Pooling/config.json", None)):
        copy = shutil.copytree(folder, tmp_path / name.partition(".")[0].replace("/", " "))
        if change:
            (copy / name).write_bytes(change)
        else:
            (copy / name).unlink()
        with pytest.raises(ArtifactError, match=r"damaged|lacks"):
            Detector.from_pretrained(copy)


def test_a_trained_folder_can_be_overwritten_by_a_detector(trained, tmp_path):
    copy = shutil.copytree(trained[0], tmp_path / "copy")
    Detector.from_pretrained(copy).at(min_recall=0.8).save_pretrained(copy, overwrite=True)
    assert not (copy / "model.safetensors").exists()
    assert "recall" in str(Detector.from_pretrained(copy).require_calibration().criterion)


def test_the_measures_and_the_card(trained, place):
    folder, _, printed = trained
    found = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    assert found["trained"]["pair"]["pairs"] == found["base"]["pair"]["pairs"] > 50
    assert found["trained"]["encoder"] == Detector.from_pretrained(folder).encoder.fingerprint
    new, old = (found[name]["pair"]["average_precision"]["value"] for name in ("trained", "base"))
    assert found["average_precision_gain"]["value"] == pytest.approx(new - old)
    assert f"{new:9.4f}{old:9.4f}" in printed
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert found["verdict"] in card
    assert found["verdict"] in printed
    for name in ("train", "validation", "calibration", "test"):
        assert f"\n| {name} | " in card
    assert str(place) not in card + (folder / MANIFEST).read_text(encoding="utf-8")
    assert "{" not in card


def test_flags_count_before_the_config_and_the_rest_comes_from_it(trained):
    config = TrainingConfig.read(trained[0] / "training.json")
    assert (config.epochs, config.learning_rate, config.seed) == (0.8, 0.002, 1)
    assert (config.batch_size, config.checkpoint_every) == (16, 8)


# Interruptions.


def interrupted_after(steps):
    @contextlib.contextmanager
    def show(stage, total, unit):
        done = [0]

        def advance(more):
            done[0] += more
            if stage == "Training" and done[0] >= steps:
                raise KeyboardInterrupt

        yield advance

    return show


def test_an_interrupted_training_is_resumed_and_a_finished_one_is_not_repeated(trained, place, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(dupdetect.cli.train, "show", interrupted_after(20))
        assert status_of(arguments(place, place / "cut")) == 130
    assert "the same command with --resume" in capsys.readouterr().err
    assert not (place / "cut").exists()
    assert "--resume" in fails(capsys, *arguments(place, place / "cut"))
    assert "another config or other data" in fails(capsys, *arguments(place, place / "cut", "--resume", "--seed", "2"))
    # Trained to the end, but the threshold that is asked for cannot be had.
    assert status_of(arguments(place, place / "cut", "--resume", "--min-precision", "0.999")) == 1
    err = capsys.readouterr().err
    assert "Fine-tuning goes on" in err
    assert "the same command with --resume" in err
    assert "best available" in err.splitlines()[-1]
    assert status_of(arguments(place, place / "cut", "--resume")) == 0
    assert "Fine-tuning is finished already" in capsys.readouterr().err
    assert not (place / "cut.training").exists()
    one, other = (json.loads((place / name / MANIFEST).read_text()) for name in ("mine", "cut"))
    assert one["encoder"] == other["encoder"]
    assert one["calibration"] == other["calibration"]


# What is refused before an hour is spent on it.


def test_outputs_that_are_there(trained, place, capsys, tmp_path):
    assert "--overwrite" in fails(capsys, *arguments(place, trained[0]))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert "does not look like" in fails(capsys, *arguments(place, tmp_path / "mine", "--overwrite"))
    assert (tmp_path / "mine" / "thesis.txt").exists()
    assert "lies in the output" in fails(capsys, *arguments(place, place, "--overwrite"))
    (tmp_path / "new.training").mkdir()
    (tmp_path / "new.training" / "notes.txt").write_text("mine")
    assert "holds other files" in fails(capsys, *arguments(place, tmp_path / "new"))
    assert (tmp_path / "new.training" / "notes.txt").exists()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no usable pairs"),
        ([("a b c", "d e f", 1)] * 3, "would be empty"),
        ([(f"how is thing {n}", f"what is thing {n}", 1) for n in range(400)], "pairs of both labels"),
        (
            [(f"how is thing {n}", f"what is thing {n}", n % 2) for n in range(150)],
            "4 duplicates and 11 others, and at least 20",
        ),
    ],
)
def test_too_few_pairs_or_one_label(place, capsys, tmp_path, rows, message):
    with (tmp_path / "few.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("question1", "question2", "label"), *rows])
    given = ["train", tmp_path / "few.csv", "-o", tmp_path / "mine", "--base", place / "model"]
    assert message in fails(capsys, *given)
    assert [path.name for path in tmp_path.iterdir()] == ["few.csv"]


def test_a_base_that_cannot_be_exported(place, capsys, tmp_path):
    model = SentenceTransformer(str(place / "model"), device="cpu")
    model[1].pooling_mode = "cls"
    model.save(str(tmp_path / "base"), create_model_card=False)
    line = fails(capsys, *arguments(place, tmp_path / "mine", "--base", tmp_path / "base"))
    assert "mean pooling" in line
    assert "Choose another base" in line


def test_bases_and_configs_that_are_not_there(place, capsys, tmp_path):
    assert "cannot be loaded" in fails(capsys, *arguments(place, tmp_path / "mine", "--base", tmp_path / "nowhere"))
    (tmp_path / "c.json").write_text('{"learning_rat": 1}')
    line = fails(capsys, *arguments(place, tmp_path / "mine", "--config", tmp_path / "c.json"))
    assert line.startswith(f"Error: --config {tmp_path / 'c.json'}: ")
    assert "Did you mean 'learning_rate'" in line


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--learning-rate", "0"], "Error: --learning-rate is 0.0, but must be a number above 0."),
        (["--batch-size", "1"], "--batch-size is 1"),
        (["--average-with-base", "1"], "--average-with-base is 1.0"),
        (["--lora-rank", "0"], "--lora-rank is 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_named_as_on_the_command_line(place, capsys, tmp_path, given, message):
    assert message in fails(capsys, *arguments(place, tmp_path / "mine", *given))


@pytest.mark.parametrize(
    "given",
    [
        ["--negatives", "hard"],
        ["--mining", "index"],
        ["--objective", "softmax"],
        ["--min-precision", "0.9", "--min-recall", "0.9"],
    ],
)
def test_wrong_usage(place, capsys, tmp_path, given):
    fails(capsys, *arguments(place, tmp_path / "mine", *given), status=2)


def test_without_the_extra_the_pip_line_is_named(place, tmp_path):
    code = "import sys\nsys.modules['torch'] = None\nfrom dupdetect.cli import main\nmain(sys.argv[1:])"
    given = ["train", place / "pairs.csv", "-o", tmp_path / "mine"]
    done = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'pip install "dupdetect[train]"' in done.stderr
    assert len(done.stderr.splitlines()) == 1
