"""The folder of the shipped detector, as it lies in the repository."""

from pathlib import Path

import numpy as np
import pytest

from dupdetect import Detector
from dupdetect.search import cosine
from dupdetect.text import canonical

FOLDER = Path(__file__).parent.parent / "dupdetect" / "pretrained"
TEXTS = [canonical(f"How do I {what}?") for what in ("reset my password", "close my account", "pay", "export a report")]


@pytest.mark.skipif(not (FOLDER / "model.safetensors").exists(), reason="an installed copy goes without these weights")
def test_it_loads_with_sentence_transformers_and_says_the_same():
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(FOLDER), device="cpu")
    assert next(model.parameters()).dtype.itemsize == 4
    rows = model.encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert cosine(rows, Detector.from_pretrained().encoder.encode(TEXTS)).min() > 0.98


def test_it_holds_what_its_manifest_lists_and_no_more_than_75_mb():
    Detector.from_pretrained(FOLDER)
    assert sum(file.stat().st_size for file in FOLDER.iterdir() if file.is_file()) < 75e6
