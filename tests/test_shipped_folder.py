"""The folder of a shipped detector, with and without the weights for sentence-transformers beside it."""

import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_bert import ASKING, TOPICS, made_up_pairs, make_tiny_bert

from dupdetect import Detector
from dupdetect.encoder.onnx import OnnxEncoder
from dupdetect.search import cosine
from dupdetect.training import export_onnx

ROOT = Path(__file__).resolve().parent.parent
TEXTS = [f"{asking} {topic} {number}" for asking in ASKING for topic in TOPICS[:5] for number in (1, 22)]


def test_the_weights_beside_a_detector_are_of_the_same_model_and_may_be_missing(tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    from sentence_transformers import SentenceTransformer

    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from build_detector import WEIGHTS, add_weights

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    model = make_tiny_bert(tmp_path)
    encoder = OnnxEncoder.load(export_onnx(model, tmp_path / "onnx"))
    folder = Detector.calibrate(encoder, made_up_pairs(200, 1)).save_pretrained(tmp_path / "detector")
    add_weights(folder, Path(model))
    loaded = SentenceTransformer(str(folder), device="cpu")
    assert next(loaded.parameters()).dtype.itemsize == 4
    rows = loaded.encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    detector = Detector.from_pretrained(folder)
    assert cosine(rows, detector.encoder.encode(TEXTS)).min() > 0.95
    (folder / WEIGHTS).unlink()
    assert Detector.from_pretrained(folder).encoder.fingerprint == detector.encoder.fingerprint


@pytest.mark.parametrize(("name", "most"), [("pretrained", 75e6), ("pretrained_fast", 16e6)])
def test_what_is_shipped_loads_and_is_small(name, most):
    folder = ROOT / "dupdetect" / name
    Detector.from_pretrained(folder)
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < most
