"""A sentence-transformers model as encoder: calibrated, saved, loaded, and never a pickle or foreign code."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sentence_transformers")

from conftest import labelled_pairs
from tiny_bert import make_tiny_bert

from dupdetect import Detector
from dupdetect.encoder import Encoder
from dupdetect.encoder.transformer import TransformerEncoder
from dupdetect.errors import ArtifactError, EncoderMismatchError, MissingExtraError, NotCalibratedError

TEXTS = ["how do i get balan", "please explain", "x", "can you tell me about kosed 7", "how do i get balan " * 20]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny_bert(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def encoder(folder):
    return TransformerEncoder.load(folder, device="cpu")


def test_unit_rows_that_do_not_depend_on_their_company(encoder):
    rows = encoder.encode(TEXTS)
    assert isinstance(encoder, Encoder)
    assert rows.shape == (len(TEXTS), encoder.dimension)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([encoder.encode([text]) for text in TEXTS]), rows, atol=1e-6)


def test_progress_and_truncation(encoder):
    done = []
    encoder.encode(TEXTS, progress=done.append)
    assert sum(done) == len(TEXTS)
    assert encoder.truncated(TEXTS).tolist() == [False, False, False, False, True]


def test_a_model_folder_is_calibrated_saved_and_loaded(folder, tmp_path):
    bare = Detector.from_pretrained(folder, device="cpu")
    with pytest.raises(NotCalibratedError):
        bare.predict([("a", "b")])
    detector = Detector.calibrate(bare.encoder, labelled_pairs(120), name="tiny")
    saved = detector.save_pretrained(tmp_path / "tiny")
    loaded = Detector.from_pretrained(saved, device="cpu")
    pair = [("how do i get balan", "please explain balan")]
    assert loaded.decide(pair).similarity == detector.decide(pair).similarity
    assert loaded.require_calibration() == detector.require_calibration()
    loaded.save_pretrained(saved, overwrite=True)
    with pytest.raises(EncoderMismatchError):
        Detector(Detector.from_pretrained().encoder, detector.calibration)


def test_the_fingerprint_is_that_of_weights_tokenizer_and_prompts(folder, encoder, tmp_path):
    assert TransformerEncoder.load(folder, device="cpu").fingerprint == encoder.fingerprint
    other = shutil.copytree(folder, tmp_path / "other")
    tokenizer = next(Path(other).rglob("tokenizer.json"))
    tokenizer.write_text(tokenizer.read_text().replace('"balan"', '"balon"'))
    assert TransformerEncoder.load(str(other), device="cpu").fingerprint != encoder.fingerprint


def test_pickled_weights_are_refused(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    (Path(other) / "pytorch_model.bin").write_bytes(b"not even looked at")
    with pytest.raises(ArtifactError, match="safetensors"):
        TransformerEncoder.load(str(other))


def test_a_folder_that_is_no_model(tmp_path):
    (tmp_path / "modules.json").write_text("[]nonsense")
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        Detector.from_pretrained(tmp_path)


def test_without_the_extra_the_pip_line_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"dupdetect\[train\]"):
        TransformerEncoder.load(folder)
