"""A detector folder as a model of sentence-transformers: the weights out of its own files, and no code out of it."""

import json
import shutil
import sys

import numpy as np
import pytest
from tiny_bert import ASKING, TOPICS, made_up_pairs, make_tiny_bert

from dupdetect import Detector
from dupdetect.artifacts import read_manifest, required_files, write_manifest
from dupdetect.detector import SHIPPED
from dupdetect.encoder.onnx import OnnxEncoder
from dupdetect.encoder.sentence_transformer import sentence_transformer
from dupdetect.errors import ArtifactError, MissingExtraError
from dupdetect.search import cosine

sentence_transformers = pytest.importorskip("sentence_transformers")
pytest.importorskip("onnxscript")

from dupdetect.training import export_onnx  # noqa: E402

TEXTS = [f"{asking} {topic} {number}" for asking in ASKING for topic in TOPICS[:5] for number in (1, 22)]
QUESTIONS = ["how do i pay", "where can i pay my bill", "where is my parcel, and why is it so late", "pay " * 400]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("tiny")
    encoder = OnnxEncoder.load(export_onnx(make_tiny_bert(place), place / "onnx"))
    return Detector.calibrate(encoder, made_up_pairs(200, 1), name="tiny").save_pretrained(place / "detector")


def rows_of(model, texts):
    return np.asarray(model.encode(texts), dtype=np.float32)


def test_the_model_is_an_ordinary_one_with_the_vectors_of_the_detector(folder, tmp_path):
    model = sentence_transformer(folder, device="cpu")
    rows = rows_of(model, TEXTS)
    assert cosine(rows, Detector.from_pretrained(folder).encoder.encode(TEXTS)).min() > 0.99
    assert model.max_seq_length == 40
    model.save(str(tmp_path / "ordinary"), create_model_card=False)
    assert "dupdetect" not in (tmp_path / "ordinary" / "modules.json").read_text()
    again = sentence_transformers.SentenceTransformer(str(tmp_path / "ordinary"), device="cpu")
    np.testing.assert_array_equal(rows_of(again, TEXTS), rows)


def test_what_is_saved_is_the_same_each_time(folder, tmp_path):
    for name in ("one", "other"):
        sentence_transformer(folder, device="cpu").save(str(tmp_path / name), create_model_card=False)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "other")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("tier", ["default", "fast"])
def test_the_shipped_folders_load(tier):
    model = sentence_transformers.SentenceTransformer(str(SHIPPED[tier]), device="cpu", trust_remote_code=True)
    own = Detector.from_pretrained(tier=tier).encoder
    rows = rows_of(model, QUESTIONS)
    assert cosine(rows, own.encode(QUESTIONS)).min() > (0.99 if tier == "default" else 0.99999)
    np.testing.assert_array_equal(rows_of(sentence_transformer(SHIPPED[tier], device="cpu"), QUESTIONS), rows)
    assert model.get_embedding_dimension() == own.dimension


def test_nothing_that_the_folder_holds_is_run(folder, tmp_path):
    """Not even a file that is named as the module is."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    for name in ("dupdetect", "OnnxWeights", "sentence_transformer", "modeling"):
        (copy / f"{name}.py").write_text("raise SystemExit('code of the folder was run')\n")
    (copy / "dupdetect").mkdir()
    (copy / "dupdetect" / "__init__.py").write_text("raise SystemExit('code of the folder was run')\n")
    model = sentence_transformers.SentenceTransformer(str(copy), device="cpu", trust_remote_code=True)
    np.testing.assert_array_equal(rows_of(model, TEXTS), rows_of(sentence_transformer(copy, device="cpu"), TEXTS))


def test_sentence_transformers_asks_before_it_loads_a_module_of_another_package(folder):
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        sentence_transformers.SentenceTransformer(str(folder), device="cpu")


def test_the_manifest_lists_what_sentence_transformers_reads(folder):
    assert {"modules.json", "1_Pooling/config.json"} <= set(required_files(folder))
    saved = Detector.from_pretrained(folder).save_pretrained(folder.parent / "again")
    for name in required_files(folder):
        assert (saved / name).read_bytes() == (folder / name).read_bytes()


def test_the_model_card_says_how(folder):
    card = (folder / "README.md").read_text()
    assert 'SentenceTransformer("FOLDER", trust_remote_code=True)' in card
    assert 'pip install "dupdetect[train]"' in card
    for tier in ("pretrained", "pretrained_fast"):
        shipped = next(place for place in SHIPPED.values() if place.name == tier)
        assert f'SentenceTransformer("dupdetect/{tier}", trust_remote_code=True)' in (shipped / "README.md").read_text()


def test_a_folder_without_them_stays_a_detector(folder, tmp_path):
    """As one that an earlier version wrote."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(copy / "1_Pooling")
    (copy / "modules.json").unlink()
    manifest = json.loads((copy / "dupdetect.json").read_text())
    for name in ("modules.json", "1_Pooling/config.json"):
        del manifest["files"][name]
    (copy / "dupdetect.json").write_text(json.dumps(manifest))
    write_manifest(copy, read_manifest(copy))
    rows = rows_of(sentence_transformer(copy, device="cpu"), TEXTS)
    assert cosine(rows, Detector.from_pretrained(copy).encoder.encode(TEXTS)).min() > 0.99


def test_what_is_no_detector_folder(tmp_path, folder):
    with pytest.raises(ArtifactError, match="neither"):
        sentence_transformer(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"lacks tokenizer\.json"):
        sentence_transformer(tmp_path)
    copy = shutil.copytree(folder, tmp_path / "copy")
    described = json.loads((copy / "tokenizer.json").read_text())
    described["added_tokens"] = [token for token in described["added_tokens"] if token["content"] != "[PAD]"]
    (copy / "tokenizer.json").write_text(json.dumps(described))
    with pytest.raises(ArtifactError, match=r"\[PAD\]"):
        sentence_transformer(copy)


def test_static_vectors_are_never_unpickled(tmp_path):
    shutil.copytree(SHIPPED["fast"], tmp_path / "copy")
    np.save(tmp_path / "copy" / "vectors.npy", np.array([object()], dtype=object), allow_pickle=True)
    with pytest.raises(ArtifactError, match="an array of numpy"):
        sentence_transformer(tmp_path / "copy")


def test_without_the_extra_the_pip_line_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"dupdetect\[train\]"):
        sentence_transformer(folder)
