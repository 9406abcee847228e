"""Static models: made from a network, trained like one, and exported without changing what they say."""

import numpy as np
import pytest
from tiny_bert import ASKING, TOPICS, made_up_pairs, make_tiny_bert

from dupdetect.encoder.static import StaticEncoder
from dupdetect.errors import InputError
from dupdetect.metrics import average_precision, curve
from dupdetect.search import cosine
from dupdetect.training import Teacher, TrainingConfig, export_static, fine_tune, static_model
from dupdetect.training.models import encode, load_model

TEXTS = [f"{asking} {topic} {number}" for asking in ASKING for topic in TOPICS[:5] for number in (1, 22)]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return load_model(make_tiny_bert(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def static(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("static") / "model"
    static_model(network, 16, TEXTS).save(str(folder), create_model_card=False)
    return str(folder)


def test_a_token_starts_as_the_network_has_it(network):
    """With all dimensions and no texts to weigh by, cosines of words are those of the network, about the mean."""
    model = static_model(network, 32, [])
    words = [word for word in TOPICS if len(network.tokenizer.tokenize(word)) == 1]
    every = network.tokenizer.convert_ids_to_tokens(range(network.tokenizer.vocab_size))
    ids = [[network.tokenizer.cls_token_id, token, network.tokenizer.sep_token_id] for token in range(len(every))]
    rows = _through(network, ids)
    rows -= rows.mean(0)
    rows = rows[[every.index(word) for word in words]]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = encode(model, words, None)
    np.testing.assert_allclose(found @ found.T, rows @ rows.T, atol=1e-4)


def _through(network, ids):
    import torch

    inputs = torch.tensor(ids)
    with torch.no_grad():
        out = network({"input_ids": inputs, "attention_mask": torch.ones_like(inputs)})
    return out["sentence_embedding"].numpy()


def test_common_tokens_weigh_less(network):
    plain, weighted = static_model(network, 8, []), static_model(network, 8, ["how do i get balan"] * 50 + ["kosed"])
    lengths = [np.linalg.norm(model[0].embedding.weight.detach().numpy(), axis=1) for model in (plain, weighted)]
    how, rare = (network.tokenizer.convert_tokens_to_ids(word) for word in ("how", "kosed"))
    assert lengths[1][how] < 0.01 * lengths[0][how]
    assert lengths[1][rare] > 0.1 * lengths[0][rare]


def test_padding_is_not_counted(network):
    texts = ["how do i get balan"] * 50 + ["kosed"]
    expected = static_model(network, 8, texts)[0].embedding.weight
    tokenizer = network.tokenizer.backend_tokenizer
    try:
        tokenizer.enable_padding(length=64)
        assert (static_model(network, 8, texts)[0].embedding.weight == expected).all()
    finally:
        tokenizer.no_padding()


def test_it_is_trained_as_a_network_is_and_learns(static, tmp_path):
    train, validation, test = (made_up_pairs(n, seed) for n, seed in ((400, 1), (100, 2), (100, 3)))
    texts = train.nodes().texts
    teacher = Teacher(texts, encode(load_model(static), texts, None))
    config = TrainingConfig(
        base=static,
        objective="joint",
        weights={"contrastive": 1.0, "ranking": 1.0, "distillation": 0.1},
        batch_size=64,
        steps=30,
        learning_rate=0.02,
        evaluate_every=10,
    )
    folder = fine_tune(config, train, validation, tmp_path / "tuned", teacher=teacher)
    before, after = (_average_precision(load_model(str(model)), test) for model in (static, folder))
    assert after > before + 0.1


def _average_precision(model, pairs):
    nodes = pairs.nodes()
    rows = encode(model, nodes.texts, None)
    return average_precision(curve(cosine(rows[nodes.left], rows[nodes.right]), pairs.labels))


def test_the_export_says_what_the_model_says(static, tmp_path):
    model = load_model(static)
    for source, name in ((model, "a"), (static, "b")):
        encoder = StaticEncoder.load(export_static(source, tmp_path / name))
        assert encoder.dimension == 16
        assert cosine(encoder.encode(TEXTS), encode(model, TEXTS, None)).min() > 0.999
    for file in ("vectors.npy", "scales.npy", "tokenizer.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_vectors_stored_in_16_bits_are_loaded_in_32(static, tmp_path):
    import torch

    load_model(static).half().save(str(tmp_path / "half"), create_model_card=False)
    assert load_model(str(tmp_path / "half"))[0].embedding.weight.dtype is torch.float32


def test_a_model_that_puts_a_prompt_before_every_text_is_not_exported(static, tmp_path):
    model = load_model(static)
    model.prompts, model.default_prompt_name = {"query": "query: "}, "query"
    with pytest.raises(InputError, match="puts 'query: ' before every text"):
        export_static(model, tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_what_is_no_static_model_is_refused(network, static, tmp_path):
    with pytest.raises(InputError, match="StaticEmbedding"):
        export_static(network, tmp_path / "no")
    with pytest.raises(InputError, match="network"):
        static_model(load_model(static), 8, [])
    with pytest.raises(InputError, match="33 dimensions"):
        static_model(network, 33, [])
