"""The fast encoder: sums of token vectors, equal to the bit whatever is around a text, and clear errors."""

import copy
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dupdetect
from dupdetect import Detector, QuestionPairs
from dupdetect.encoder import Encoder, LimitedVocabulary, static
from dupdetect.encoder.static import StaticEncoder
from dupdetect.errors import ArtifactError, InputError

TOKENIZER = Path(dupdetect.__file__).parent / "pretrained" / "tokenizer.json"
TEXTS = [
    "how do i reset my password",
    "",
    "?",
    "404",
    "a\ud800b",
    "[CLS]",
    "word " * 3000,
    "x" * 25_000,
    "密码",
    "a",
    "a",
]


def write(folder, vectors, scales=None):
    folder.mkdir(exist_ok=True)
    shutil.copy(TOKENIZER, folder)
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "scales.npy", np.ones(len(vectors), np.float32) if scales is None else scales)
    return folder


@pytest.fixture(scope="module")
def vectors():
    return np.random.default_rng(0).integers(-127, 128, (30_522, 48)).astype(np.int8)


@pytest.fixture(scope="module")
def scales():
    return np.random.default_rng(1).uniform(1e-4, 1e-2, 30_522).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, vectors, scales):
    return write(tmp_path_factory.mktemp("static"), vectors, scales)


@pytest.fixture(scope="module")
def encoder(folder):
    return StaticEncoder.load(folder)


def test_follows_the_protocols(encoder):
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, LimitedVocabulary)
    assert encoder.dimension == 48


@given(st.lists(st.text(max_size=30), max_size=20))
def test_a_row_is_the_sum_of_the_vectors_of_its_tokens(encoder, vectors, scales, texts):
    rows = encoder.encode(texts)
    assert rows.shape == (len(texts), 48)
    assert rows.dtype == np.float32
    for text, row in zip(texts, rows, strict=True):
        total = np.zeros(48)
        for token in encoder._tokens.ids([text])[0]:
            total += vectors[token] * float(scales[token])
        if not total.any():
            total[0] = 1
        np.testing.assert_allclose(row, total / np.sqrt((total**2).sum()), atol=1e-5)


def test_a_row_does_not_depend_on_what_is_around_it(encoder, monkeypatch):
    texts = [*TEXTS, *(f"question number {n} about {n % 7}" for n in range(300))]
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    assert np.array_equal(encoder.encode(texts), alone)
    monkeypatch.setattr(static, "_TEXTS_PER_BATCH", 7)
    monkeypatch.setattr(static, "_TEXTS_PER_SUM", 3)
    assert np.array_equal(encoder.encode(texts[::-1]), alone[::-1])


def test_texts_without_tokens_have_a_row_of_length_one(encoder):
    assert encoder.encode(["", " "])[:, 0].tolist() == [1.0, 1.0]
    assert encoder.encode([]).shape == (0, 48)


def test_progress_counts_every_text(encoder, monkeypatch):
    monkeypatch.setattr(static, "_TEXTS_PER_BATCH", 4)
    seen = []
    encoder.encode(TEXTS, progress=seen.append)
    assert seen == [4, 4, 3]


def test_one_string_is_not_taken_for_many(encoder):
    with pytest.raises(TypeError, match="not one string"):
        encoder.encode("one")


def test_what_is_not_read_is_said(encoder):
    assert encoder.truncated(TEXTS).tolist() == [text == "x" * 25_000 for text in TEXTS]
    assert encoder.unknown_words(["my 密碼鑰 password", "my password"]) == [("密碼鑰",), ()]


def test_saving_and_copying_keep_the_fingerprint(encoder, tmp_path):
    encoder.save(tmp_path / "copy")
    on_card = StaticEncoder.load(tmp_path / "copy", device="cuda")
    assert copy.deepcopy(on_card).device == "cuda"
    for other in (StaticEncoder.load(tmp_path / "copy"), copy.deepcopy(encoder)):
        assert other.fingerprint == encoder.fingerprint
        assert np.array_equal(other.encode(TEXTS), encoder.encode(TEXTS))


def test_other_vectors_have_another_fingerprint(encoder, vectors, tmp_path):
    assert StaticEncoder.load(write(tmp_path / "other", -vectors)).fingerprint != encoder.fingerprint


def test_a_detector_with_it_can_be_saved_and_loaded(encoder, tmp_path):
    pairs = QuestionPairs.from_columns(
        [f"how do i do {n}" for n in range(40)],
        [f"how can i do {n}" if n % 2 else f"why {n * 97} is that so" for n in range(40)],
        [n % 2 == 1 for n in range(40)],
    )
    detector = Detector.calibrate(encoder, pairs)
    loaded = Detector.from_pretrained(detector.save_pretrained(tmp_path / "fast"))
    assert loaded.encoder.fingerprint == encoder.fingerprint
    assert loaded.calibration.threshold == detector.calibration.threshold
    with pytest.raises(InputError, match="processor"):
        Detector.from_pretrained(tmp_path / "fast", device="cuda")


@pytest.mark.parametrize("name", ["vectors.npy", "scales.npy", "tokenizer.json"])
def test_a_missing_file_is_named(folder, tmp_path, name):
    shutil.copytree(folder, tmp_path / "less")
    (tmp_path / "less" / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        StaticEncoder.load(tmp_path / "less")


@pytest.mark.parametrize(
    "vectors",
    [
        np.zeros((30_522, 8), np.float32),
        np.zeros(30_522, np.int8),
        np.zeros((30_521, 8), np.int8),
        np.zeros((30_522, 0), np.int8),
        np.array([{}], dtype=object),
    ],
)
def test_vectors_of_another_kind_are_refused(tmp_path, vectors):
    with pytest.raises(ArtifactError, match=r"vectors\.npy"):
        StaticEncoder.load(write(tmp_path / "wrong", vectors))


@pytest.mark.parametrize(
    "scales",
    [
        np.ones(30_522),
        np.ones(30_521, np.float32),
        np.full(30_522, np.nan, np.float32),
        np.full(30_522, 1e30, np.float32),
    ],
)
def test_scales_of_another_kind_are_refused(tmp_path, vectors, scales):
    with pytest.raises(ArtifactError, match=r"scales\.npy"):
        StaticEncoder.load(write(tmp_path / "wrong", vectors, scales))


def _claims(shape, kind="|i1"):
    """The head of an array of this shape, and a few bytes in place of its rows."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue() + b"\0" * 64


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vectors.npy", b"no array"),
        ("vectors.npy", _claims((10**12, 4000))),  # 3.55 PiB
        ("vectors.npy", _claims((2**62, 8))),
        ("vectors.npy", _claims((30_522, 8))),
        ("vectors.npy", _claims((-8, -8))),
        ("vectors.npy", _claims((8,), "|O")),
        ("scales.npy", _claims((10**15,), "<f4")),
        ("tokenizer.json", b"{}"),
    ],
)
def test_a_damaged_file_is_named(folder, tmp_path, name, content):
    shutil.copytree(folder, tmp_path / "bad")
    (tmp_path / "bad" / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=name):
        StaticEncoder.load(tmp_path / "bad")
