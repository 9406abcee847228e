"""A tiny random BERT as a sentence-transformers folder, the words that it knows, and pairs of questions of them."""

import numpy as np

from dupdetect import QuestionPairs

TOPICS = [f"{a}{b}" for a in ("ba", "ko", "mi", "tu", "re") for b in ("lan", "sed", "pol", "wix")]
ASKING = ("how do i get", "what is the way to", "can you tell me about", "please explain")


def make_tiny_bert(folder):
    """Write a model of 2 layers and 32 dimensions under `folder` (a Path) and return its path."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    unknown = {"unk_token": "[UNK]"}
    pieces = [*"abcdefghijklmnopqrstuvwxyz0123456789?"]
    words = sorted({word for asking in ASKING for word in asking.split()} - set(pieces))
    vocabulary = [*special, *words, *TOPICS, *pieces, *(f"##{piece}" for piece in pieces)]
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(vocabulary)}, **unknown))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles).save_pretrained(folder / "bert")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        bert = BertModel(
            BertConfig(
                vocab_size=len(vocabulary),
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                max_position_embeddings=64,
                initializer_range=0.3,
            )
        )
    bert.save_pretrained(folder / "bert")
    model = SentenceTransformer(
        modules=[Transformer(str(folder / "bert"), max_seq_length=40), Pooling(32, "mean"), Normalize()], device="cpu"
    )
    model.save(str(folder / "model"), create_model_card=False)
    return str(folder / "model")


def made_up_pairs(n, seed):
    """Duplicates ask about one topic in two ways, others about two topics in one way: the words shared mislead. Eight
    duplicates in a row share their left question."""
    rng = np.random.default_rng(seed)
    rows, previous = [], ("", "")
    for number in range(1000 * seed, 1000 * seed + n):
        one, other = rng.choice(TOPICS, 2, replace=False)
        first, second = rng.choice(ASKING, 2, replace=False)
        same = number % 2 == 0
        if same and number % 16:
            left, one = previous
        else:
            left = f"{first} {one} {number}"
        rows.append((left, f"{second if same else first} {one if same else other} {number}", same))
        previous = (left, one) if same else previous
    return QuestionPairs.from_columns(*zip(*rows, strict=True))
