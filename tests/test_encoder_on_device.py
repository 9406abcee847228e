"""The default encoder's weights run by torch: what it shares with the file's own encoder, and what it does not."""

import copy
import pickle
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from tiny_bert import ASKING, TOPICS, made_up_pairs, make_tiny_bert

from dupdetect import Detector, QuestionIndex
from dupdetect.cli import main
from dupdetect.detector import SHIPPED
from dupdetect.encoder import Encoder, LimitedVocabulary
from dupdetect.encoder.devices import calibrated_as, check_device, device_of
from dupdetect.encoder.on_device import DeviceEncoder
from dupdetect.encoder.onnx import OnnxEncoder
from dupdetect.encoder.onnx_weights import read_bert_weights
from dupdetect.engines.device import DeviceEngine
from dupdetect.errors import ArtifactError, EncoderMismatchError, InputError, MissingExtraError
from dupdetect.search import cosine

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
onnx = pytest.importorskip("onnx")

TEXTS = [f"{asking} {topic} {number}" for asking in ASKING for topic in TOPICS[:4] for number in (1, 22)]
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no graphics card here")
needs_none = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a graphics card here")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The folder of an exported model of two layers."""
    pytest.importorskip("onnxscript")
    from dupdetect.training import export_onnx

    place = tmp_path_factory.mktemp("tiny")
    return export_onnx(make_tiny_bert(place), place / "onnx")


@pytest.fixture(scope="module")
def encoder(tiny):
    return DeviceEncoder.load(tiny, device="cpu", precision="float32", batch_tokens=64)


@pytest.fixture
def shipped_on_cpu(monkeypatch):
    """Let "cuda" mean torch on the processor, so that all but the card is as with one."""
    load = DeviceEncoder.load.__func__
    monkeypatch.setattr("dupdetect.encoder.load.check_device", lambda device: None)
    monkeypatch.setattr(
        DeviceEncoder,
        "load",
        classmethod(lambda cls, folder, *, device: load(cls, folder, device="cpu", batch_tokens=256)),
    )


# The weights


def test_the_weights_are_those_that_were_exported_to_the_last_bit_of_their_8(tmp_path):
    pytest.importorskip("onnxscript")
    from sentence_transformers import SentenceTransformer

    from dupdetect.training import export_onnx

    folder = make_tiny_bert(tmp_path)
    bert = SentenceTransformer(folder, device="cpu")[0].auto_model.state_dict()
    for quantize, steps in ((False, 1e9), (True, 63)):
        weights = read_bert_weights(export_onnx(folder, tmp_path / str(quantize), quantize=quantize) / "model.onnx")
        assert weights.max_length == 40
        for name, tensor in weights.tensors.items():
            if "position" in name or "token_type" in name:
                continue
            # At most half a step of the row's own scale: of the largest number in it, one of 63 steps.
            step = np.abs(tensor).max(axis=-1, keepdims=True) / steps
            assert (np.abs(tensor - bert[name].numpy()) <= 0.51 * step + 1e-6).all(), name
        both = bert["embeddings.position_embeddings.weight"][:40] + bert["embeddings.token_type_embeddings.weight"][0]
        np.testing.assert_allclose(
            weights.tensors["embeddings.position_embeddings.weight"], both.numpy(), atol=1e-6, rtol=0
        )


def test_without_rounding_in_the_file_the_vectors_are_the_same(tmp_path):
    pytest.importorskip("onnxscript")
    from dupdetect.training import export_onnx

    folder = export_onnx(make_tiny_bert(tmp_path), tmp_path / "float", quantize=False)
    encoder = DeviceEncoder.load(folder, device="cpu", precision="float32")
    np.testing.assert_allclose(encoder.encode(TEXTS), OnnxEncoder.load(folder).encode(TEXTS), atol=1e-5, rtol=0)


def changed(folder, place, change):
    """A copy of an encoder's folder with another graph."""
    shutil.copytree(folder, place)
    model = onnx.load_model(place / "model.onnx")
    change(model.graph)
    (place / "model.onnx").write_bytes(model.SerializeToString())
    return place / "model.onnx"


def lies_elsewhere(graph):
    tensor = next(tensor for tensor in graph.initializer if tensor.name == "words")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def not_finite(graph):
    tensor = next(tensor for tensor in graph.initializer if tensor.name == "norm.weight")
    tensor.raw_data = np.full(32, np.nan, np.float32).tobytes()


def other_names(graph):
    for node in graph.node:
        if node.op_type == "BiasGelu":
            node.op_type = "FastGelu"


@pytest.mark.parametrize("change", [lies_elsewhere, not_finite, other_names, lambda graph: graph.ClearField("node")])
def test_a_graph_that_is_another_is_refused(tiny, tmp_path, change):
    with pytest.raises(ArtifactError, match="not laid out as dupdetect exports"):
        read_bert_weights(changed(tiny, tmp_path / "other", change))


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"not a model"])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ArtifactError, match="not laid out"):
        read_bert_weights(tmp_path / "model.onnx")
    with pytest.raises(ArtifactError, match="Cannot read"):
        read_bert_weights(tmp_path / "missing.onnx")


def test_weights_that_say_something_else_than_the_graph_computes_are_refused(tiny, tmp_path):
    def swap_queries_and_what_follows(graph):
        first, second = [node for node in graph.node if node.op_type == "LayerNormalization"][1:3]
        first.input[1], second.input[1] = second.input[1], first.input[1]
        for tensor in graph.initializer:
            if tensor.name == first.input[1]:
                tensor.raw_data = (-onnx.numpy_helper.to_array(tensor)).tobytes()

    path = changed(tiny, tmp_path / "other", swap_queries_and_what_follows)
    assert DeviceEncoder.load(path.parent, device="cpu", precision="float32").dimension == 32  # the same on both sides
    weights = read_bert_weights(path)
    tensors = {name: -tensor if "output.dense.weight" in name else tensor for name, tensor in weights.tensors.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dupdetect.encoder.on_device.read_bert_weights", lambda _: replace(weights, tensors=tensors))
        with pytest.raises(ArtifactError, match="computes something else"):
            DeviceEncoder.load(path.parent, device="cpu", precision="float32")


# The encoder


def test_it_follows_the_protocol_and_reads_as_the_file_does(tiny, encoder):
    own = OnnxEncoder.load(tiny)
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, LimitedVocabulary)
    texts = [*TEXTS, "", "\ud800", "kosed " * 50, "what is ≠ this"]
    rows = encoder.encode(texts)
    assert rows.dtype == np.float32
    assert rows.shape == (len(texts), encoder.dimension)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert cosine(rows, own.encode(texts)).min() > 0.99
    assert encoder.unknown_words(texts) == own.unknown_words(texts)
    np.testing.assert_array_equal(encoder.truncated(texts), own.truncated(texts))
    assert encoder.encode([]).shape == (0, encoder.dimension)


def test_a_row_does_not_depend_on_the_others(encoder):
    rows, done = encoder.encode(TEXTS), []
    order = np.random.default_rng(0).permutation(len(TEXTS))
    np.testing.assert_allclose(
        encoder.encode([TEXTS[row] for row in order], progress=done.append), rows[order], atol=1e-6
    )
    assert sum(done) == len(TEXTS)
    np.testing.assert_allclose(np.concatenate([encoder.encode([text]) for text in TEXTS]), rows, atol=1e-6)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_is_close(tiny, encoder, precision):
    half = DeviceEncoder.load(tiny, device="cpu", precision=precision, batch_tokens=64)
    rows = half.encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert cosine(rows, encoder.encode(TEXTS)).min() > 0.999
    assert half.fingerprint != encoder.fingerprint


def test_copies_are_the_same(encoder):
    for other in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):  # noqa: S301
        assert (other.fingerprint, other.device) == (encoder.fingerprint, "cpu")
        np.testing.assert_array_equal(other.encode(TEXTS), encoder.encode(TEXTS))


def test_numbers_that_do_not_fit_half_precision_are_an_error(tiny):
    half = DeviceEncoder.load(tiny, device="cpu", batch_tokens=64)
    with torch.no_grad():
        half._network.embeddings.LayerNorm.weight.fill_(float("inf"))
    with pytest.raises(ArtifactError, match="no numbers in float16"):
        half.encode(["how do i get balan"])


def test_a_device_that_is_full_is_said(encoder, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(encoder, "_network", full)
    with pytest.raises(InputError, match="memory of cpu does not suffice for 64 tokens"):
        encoder.encode(["a"])


# The threshold chain


def test_a_calibration_of_the_file_holds_on_the_device_and_not_the_other_way_round(tiny, encoder, tmp_path):
    own = Detector.calibrate(OnnxEncoder.load(tiny), made_up_pairs(200, 1), name="tiny")
    assert encoder.fingerprint != own.encoder.fingerprint == calibrated_as(encoder) == calibrated_as(own.encoder)
    there = replace(own, encoder=encoder)
    assert there.cached(tmp_path / "vectors").calibration == own.calibration
    assert there.at(threshold=0.5).require_calibration().threshold == 0.5
    fitted_there = Detector.calibrate(encoder, made_up_pairs(200, 1))
    assert fitted_there.require_calibration().encoder == encoder.fingerprint
    with pytest.raises(EncoderMismatchError):
        replace(fitted_there, encoder=own.encoder)
    with pytest.raises(ArtifactError, match="loaded for cpu cannot be saved"):
        there.save_pretrained(tmp_path / "saved")


def test_a_cache_never_mixes_the_two(tiny, encoder, tmp_path):
    own = Detector(OnnxEncoder.load(tiny)).cached(tmp_path / "vectors").encoder
    there = Detector(encoder).cached(tmp_path / "vectors").encoder
    own.encode(TEXTS)
    there.encode(TEXTS)
    assert there.use.cached == 0
    np.testing.assert_array_equal(
        Detector(encoder).cached(tmp_path / "vectors").encoder.encode(TEXTS), encoder.encode(TEXTS)
    )


def test_an_index_of_one_is_not_opened_with_the_other(tiny, encoder, tmp_path):
    own = Detector.calibrate(OnnxEncoder.load(tiny), made_up_pairs(200, 1), name="tiny")
    there = replace(own, encoder=encoder)
    with QuestionIndex.create(tmp_path / "own", own):
        pass
    with pytest.raises(ArtifactError, match="another detector"):
        QuestionIndex.open(tmp_path / "own", there)
    with QuestionIndex.create(tmp_path / "there", there):
        pass
    with QuestionIndex.open(tmp_path / "there", there) as index:
        assert len(index) == 0
    with pytest.raises(ArtifactError):
        QuestionIndex.open(tmp_path / "there")


# Where it is asked for


def test_devices_that_are_none():
    check_device("cpu")
    for name in ("gpu", "", "cuda:", "cuda:x", "CUDA", "mps", "cuda:0 "):
        with pytest.raises(InputError, match="There is no device"):
            check_device(name)


@needs_none
@pytest.mark.parametrize("tier", ["default", "fast"])
def test_a_card_that_is_not_there(tier):
    with pytest.raises(InputError, match=r"'cuda' is not there: torch .* (built without CUDA|finds no graphics card)"):
        Detector.from_pretrained(tier=tier, device="cuda")


def test_a_card_beyond_the_last(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_device("cuda:1")
    with pytest.raises(InputError, match="torch finds 2 graphics cards"):
        check_device("cuda:2")


def test_without_the_extra_the_pip_line_is_named(tiny, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        with pytest.raises(MissingExtraError, match=r"The device 'cuda' needs .*torch.*dupdetect\[train\]"):
            Detector.from_pretrained(device="cuda")
        with pytest.raises(MissingExtraError, match=r"dupdetect\[train\]"):
            DeviceEncoder.load(tiny, device="cpu")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"needs the package onnx.*dupdetect\[train\]"):
        DeviceEncoder.load(tiny, device="cpu")


@needs_none
def test_the_command_line_says_what_is_missing(tmp_path, capsys):
    (tmp_path / "export.csv").write_text("question\nhow do i pay\n")
    for words in (
        ["dedupe", str(tmp_path / "export.csv")],
        ["match", str(tmp_path / "export.csv"), "--against", str(tmp_path / "export.csv")],
        ["score", "how do i pay", "where can i pay", "--fast"],
        ["evaluate", "default", str(tmp_path / "export.csv")],
    ):
        with pytest.raises(SystemExit) as stop:
            main([*words, "--device", "cuda"])
        assert stop.value.code == 1
        assert "The device 'cuda' is not there" in capsys.readouterr().err


def test_only_cards_are_compared_on(encoder):
    class There:
        device = "cuda:1"

    class Elsewhere:
        device = "mps"

    assert [device_of(one) for one in (There(), Elsewhere(), encoder, object())] == ["cuda:1", "cpu", "cpu", "cpu"]


def made_up_export(n):
    rng = np.random.default_rng(0)
    return [f"{ASKING[rng.integers(4)]} {TOPICS[rng.integers(20)]} {rng.integers(40)}" for _ in range(n)]


def test_a_detector_on_a_card_finds_the_pairs_that_the_processor_finds_among_its_vectors(tiny, encoder, monkeypatch):
    own = Detector.calibrate(OnnxEncoder.load(tiny), made_up_pairs(200, 1), name="tiny")
    detector, texts = replace(own, encoder=encoder), made_up_export(300)
    expected, matched = detector.deduplicate(texts), detector.match(texts[:50], texts[50:])
    asked = []

    def device(_):
        asked.append("cuda")
        return "cuda"

    # The card is torch on the processor here; which of them compares is all that the detector decides.
    join = DeviceEngine("cpu").join
    monkeypatch.setattr("dupdetect.engines.device._FEW_ROWS", 10)
    monkeypatch.setattr("dupdetect.detector.device_of", device)
    monkeypatch.setattr(DeviceEngine, "join", lambda self, *given, **options: join(*given, **options))
    found = detector.deduplicate(texts)
    assert found.run["engine"] == {"kind": "local", "device": "cuda"}
    for column in ("left", "right", "similarity"):
        np.testing.assert_array_equal(getattr(found.pairs, column), getattr(expected.pairs, column))
    assert found.clusters == expected.clusters
    monkeypatch.setattr("dupdetect.detector.device_of", lambda _: "cpu")
    assert list(detector.match(texts[:50], texts[50:])) == list(matched)
    assert asked


def test_the_fast_tier_encodes_on_the_processor_and_compares_on_the_card(monkeypatch):
    monkeypatch.setattr("dupdetect.encoder.load.check_device", lambda device: None)
    there, here = Detector.from_pretrained(tier="fast", device="cuda:0"), Detector.from_pretrained(tier="fast")
    assert (device_of(there.encoder), device_of(here.encoder)) == ("cuda:0", "cpu")
    assert there.encoder.fingerprint == here.encoder.fingerprint
    np.testing.assert_array_equal(there.encoder.encode(TEXTS), here.encoder.encode(TEXTS))


def test_the_shipped_detector_decides_nearly_the_same(shipped_on_cpu):
    there, here = Detector.from_pretrained(device="cuda"), Detector.from_pretrained()
    pairs = [
        ("how do i reset my password", "i forgot my password, how can i change it"),
        ("how do i reset my password", "where is my parcel"),
        ("how can i lose weight quickly", "what is the fastest way to lose weight"),
        ("error 403 when i log in", "error 404 when i log in"),
        ("", "how do i pay"),
    ]
    mine, usual = there.decide(pairs), here.decide(pairs)
    np.testing.assert_allclose(mine.similarity, usual.similarity, atol=0.03)
    np.testing.assert_array_equal(mine.duplicate, usual.duplicate)
    assert there.encoder.fingerprint != here.encoder.fingerprint


@needs_cuda
def test_on_a_card():
    texts = [f"{asking} {topic}" for asking in ("how do i", "where can i") for topic in ("pay", "log in", "complain")]
    here = DeviceEncoder.load(SHIPPED["default"], device="cpu", precision="float32")
    there = Detector.from_pretrained(device="cuda")
    assert cosine(there.encoder.encode(texts), here.encode(texts)).min() > 0.999
    rows = there.encoder.encode(texts)
    np.testing.assert_array_equal(np.concatenate([there.encoder.encode([text]) for text in texts]), rows)
    found = there.deduplicate([*texts, *texts])
    assert found.run["engine"]["device"] == "cuda"
    assert len(found.kept) <= len(texts)
