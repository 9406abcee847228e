"""The folder that ships: what is beside the detector."""

from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

import dupdetect
from dupdetect import Detector

FOLDER = Path(dupdetect.__file__).with_name("pretrained")
TEXTS = ["how do i reset my password", "i forgot my password, how can i set a new one", "where is my parcel"]


def test_it_also_loads_with_sentence_transformers():
    model = SentenceTransformer(str(FOLDER), device="cpu")
    encoder = Detector.from_pretrained().encoder
    assert model.get_embedding_dimension() == encoder.dimension
    assert model.max_seq_length == encoder.max_length
    assert {str(value.dtype) for value in model.state_dict().values() if value.is_floating_point()} == {"torch.float32"}
    rows = model.encode(TEXTS, normalize_embeddings=True)
    # 8 bits and 16 bits of the same weights; another model would be far off.
    assert (np.einsum("ij,ij->i", rows, encoder.encode(TEXTS)) > 0.985).all()


def test_all_that_ships_is_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 75e6
