"""The shipped encoder: unit rows that depend on the text alone, and clear errors for damaged folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dupdetect
from dupdetect.encoder import Encoder
from dupdetect.encoder.onnx import OnnxEncoder
from dupdetect.errors import ArtifactError

SHIPPED = Path(dupdetect.__file__).parent / "pretrained"
TEXTS = [
    "how do i reset my password",
    "",
    " ",
    "?",
    "404",
    "i forgot my password, how can i change it",
    "😀👩‍👩‍👧‍👦 why",
    "كيف أعيد تعيين كلمة المرور",
    "איך לאפס סיסמה",
    "如何重置我的密码",
    "e\u0301 and \u00e9",
    "a\ud800b",
    "nul\x00and\ttab\nand newline",
    "[CLS] [SEP] [MASK]",
    "word " * 100,
    "very long " * 2000,
    "x" * 5000,
    "how do i reset my password",
]


@pytest.fixture(scope="module")
def encoder() -> OnnxEncoder:
    return OnnxEncoder.load(SHIPPED, threads=2)


@pytest.fixture(scope="module")
def alone(encoder: OnnxEncoder) -> np.ndarray:
    """The vector that each text gets when it is the only one."""
    return np.concatenate([encoder.encode([text]) for text in TEXTS])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("model.onnx", "tokenizer.json"):
        shutil.copy(SHIPPED / name, tmp_path / name)
    return tmp_path


def test_follows_the_protocol(encoder: OnnxEncoder) -> None:
    assert isinstance(encoder, Encoder)
    assert encoder.dimension == 384
    assert encoder.max_length == 256


def test_rows_are_float32_and_of_length_one(encoder: OnnxEncoder) -> None:
    embeddings = encoder.encode(TEXTS)
    assert embeddings.shape == (len(TEXTS), encoder.dimension)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)


def test_no_texts_give_no_rows(encoder: OnnxEncoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dimension)
    assert encoder.encode([]).dtype == np.float32
    assert encoder.truncated([]).shape == (0,)


def test_one_string_is_refused(encoder: OnnxEncoder) -> None:
    with pytest.raises(TypeError, match="not one string"):
        encoder.encode("how do i reset my password")


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.sampled_from(range(len(TEXTS))), max_size=30))
def test_a_vector_depends_on_its_text_alone(encoder: OnnxEncoder, alone: np.ndarray, rows: list[int]) -> None:
    np.testing.assert_allclose(encoder.encode([TEXTS[row] for row in rows]), alone[rows], rtol=0, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(text=st.text(st.characters(exclude_categories=()), max_size=60))
def test_any_text_can_be_encoded_and_company_changes_nothing(encoder: OnnxEncoder, text: str) -> None:
    one = encoder.encode([text])
    assert np.isfinite(one).all()
    np.testing.assert_allclose(encoder.encode(["other", text, *TEXTS[:5]])[1], one[0], rtol=0, atol=1e-6)


def test_the_number_of_threads_changes_nothing(encoder: OnnxEncoder) -> None:
    many = [f"{text} {number}" for number in range(20) for text in TEXTS[:10]]
    one_thread = OnnxEncoder.load(SHIPPED, threads=1)
    np.testing.assert_allclose(one_thread.encode(many), encoder.encode(many), rtol=0, atol=1e-6)


def test_the_graph_quantises_no_tensor_as_a_whole() -> None:
    onnx = pytest.importorskip("onnx")
    used = {node.op_type for node in onnx.load(SHIPPED / "model.onnx").graph.node}
    assert "MatMulIntegerToFloat" in used
    assert not used & {"DynamicQuantizeLinear", "DynamicQuantizeMatMul"}


def test_weights_are_safe_without_vnni() -> None:
    """Two products of uint8 and 7-bit weights fit into 16 bits; AVX2 kernels saturate on larger weights."""
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(SHIPPED / "model.onnx").graph
    multiplied = {node.input[1] for node in graph.node if node.op_type == "MatMulIntegerToFloat"}
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name in multiplied]
    assert len(weights) == 36
    assert max(int(np.abs(weight.astype(np.int32)).max()) for weight in weights) <= 63


@pytest.mark.parametrize(
    ("question", "same", "other"),
    [
        ("how do i reset my password", "i forgot my password, how can i set a new one", "how do i add a printer"),
        ("where is my order", "my package has not arrived yet", "how do i cancel my subscription"),
        ("app crashes on startup", "the application closes as soon as i open it", "can i pay by bank transfer"),
    ],
)
def test_rephrasings_are_nearer_than_other_questions(
    encoder: OnnxEncoder, question: str, same: str, other: str
) -> None:
    vectors = encoder.encode([question, same, other])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1


def test_truncated_counts_the_special_tokens(encoder: OnnxEncoder) -> None:
    texts = ["a " * 254, "a " * 255, "", "a " * 2000]
    assert encoder.truncated(texts).tolist() == [False, True, False, True]
    embeddings = encoder.encode(["a " * 254 + "b", "a " * 254 + "c"])
    np.testing.assert_array_equal(embeddings[0], embeddings[1])


def test_progress_adds_up_to_the_number_of_texts(encoder: OnnxEncoder) -> None:
    steps: list[int] = []
    encoder.encode(TEXTS, progress=steps.append)
    assert sum(steps) == len(TEXTS)
    assert len(steps) > 1


def test_an_error_in_progress_reaches_the_caller(encoder: OnnxEncoder) -> None:
    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encoder.encode(TEXTS, progress=interrupt)


def test_save_and_load_again(encoder: OnnxEncoder, alone: np.ndarray, tmp_path: Path) -> None:
    encoder.save(tmp_path / "saved")
    again = OnnxEncoder.load(tmp_path / "saved")
    assert again.fingerprint == encoder.fingerprint
    np.testing.assert_allclose(again.encode(TEXTS), alone, rtol=0, atol=1e-6)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"model\.onnx.*No such file"):
        OnnxEncoder.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        OnnxEncoder.load(folder)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff\xfe\x00" * 100, b"{}"])
def test_damaged_file(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{name} is not .* damaged"):
        OnnxEncoder.load(folder)


def test_half_a_model(folder: Path) -> None:
    model = folder / "model.onnx"
    model.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    with pytest.raises(ArtifactError, match="damaged"):
        OnnxEncoder.load(folder)


def test_the_fingerprint_names_the_weights_and_the_tokenizer(encoder: OnnxEncoder, folder: Path) -> None:
    assert encoder.fingerprint.startswith("sha256:")
    assert len(encoder.fingerprint) == len("sha256:") + 16
    assert OnnxEncoder.load(folder).fingerprint == encoder.fingerprint

    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    other_tokenizer = OnnxEncoder.load(folder).fingerprint
    assert other_tokenizer != encoder.fingerprint

    onnx = pytest.importorskip("onnx")
    model = onnx.load(folder / "model.onnx")
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "norm.bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(0.5), bias.name))
    onnx.save(model, folder / "model.onnx")
    assert OnnxEncoder.load(folder).fingerprint not in {encoder.fingerprint, other_tokenizer}


@pytest.mark.parametrize("shape", [[], ["rows", 10**12]])
def test_a_model_whose_rows_have_no_length_is_refused(folder: Path, shape: list[object]) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(folder / "model.onnx")
    name = model.graph.output[0].name
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(ArtifactError, match=r"model\.onnx is not .* damaged"):
        OnnxEncoder.load(folder)
