"""Every option is checked, and a config survives being written down. (That every option changes the training is tested
in test_training_fine_tune.)"""

import dataclasses
import json
import subprocess
import sys

import pytest

from dupdetect.errors import ArtifactError, InputError
from dupdetect.training.config import TrainingConfig

REFUSED = {
    "base": ["", "  ", None],
    "max_tokens": [0, -1, 2.5, True],
    "dropout": [-0.1, 1.0, "0.1"],
    "train_embeddings": [0, None],
    "lora_rank": [0, -1, 2.5, True],
    "objective": ["cosine", "", None],
    "weights": [{}, {"contrastive": 0}, {"contrastive": -1}, {"other": 1}, {"ranking": "1"}, ["ranking"]],
    "distance": ["manhattan"],
    "form": ["hinge"],
    "scale": [0, -1, float("inf"), float("nan")],
    "boundary": [-0.1, 2.1, float("nan")],
    "learn_boundary": [1, "yes"],
    "hard_pairs": [0],
    "negatives": ["easy", "semihard"],
    "mining": ["corpus"],
    "margin": [0, -0.5, 2.01, 5, "0.5"],
    "temperature": [0, -0.05],
    "symmetric": [None],
    "batch_size": [1, 0, 16.0],
    "positive_share": [0, 1, 1.5],
    "group_aware": ["no"],
    "length_buckets": [0, 1.5],
    "topics": [0, 1.5],
    "epochs": [0, -1, None],
    "steps": [0, 1.5],
    "learning_rate": [0, -1e-5, None],
    "warmup": [-0.1, 1],
    "weight_decay": [-0.01],
    "seed": [-1, 0.5, None],
    "precision": ["fp8", "float16"],
    "evaluate_every": [0, None],
    "checkpoint_every": [0, 2.5],
    "average_with_base": [-0.1, 1, 1.5],
}
CHOSEN = {
    "base": "my/model",
    "max_tokens": None,
    "dropout": None,
    "train_embeddings": False,
    "lora_rank": 8,
    "objective": "joint",
    "weights": {"triplet": 2, "distillation": 0.5},
    "distance": "euclidean",
    "form": "margin",
    "scale": 5.5,
    "boundary": 2,
    "learn_boundary": False,
    "hard_pairs": True,
    "negatives": "scheduled",
    "mining": "index",
    "margin": 2.0,
    "temperature": 0.1,
    "symmetric": False,
    "batch_size": 2,
    "positive_share": 0.5,
    "group_aware": False,
    "length_buckets": 8,
    "topics": 1,
    "epochs": 0.5,
    "steps": 10,
    "learning_rate": 1e-3,
    "warmup": 0,
    "weight_decay": 0,
    "seed": 7,
    "precision": "bfloat16",
    "evaluate_every": 1,
    "checkpoint_every": 1,
    "average_with_base": 0.5,
}
FIELDS = [option.name for option in dataclasses.fields(TrainingConfig)]


def test_the_tables_know_every_option():
    assert list(REFUSED) == list(CHOSEN) == FIELDS


@pytest.mark.parametrize(("option", "value"), [(option, value) for option in REFUSED for value in REFUSED[option]])
def test_a_value_that_cannot_be_meant_is_refused_by_name(option, value):
    with pytest.raises(InputError, match=option if option != "weights" else "weight"):
        TrainingConfig(**{option: value})


def test_a_message_names_the_value_and_what_is_accepted():
    with pytest.raises(InputError, match=r"margin is 5, but must be a number above 0 and at most 2\."):
        TrainingConfig(margin=5)
    with pytest.raises(
        InputError, match=r"negatives is 'easy', but must be one of random, semi-hard, hard, scheduled\."
    ):
        TrainingConfig(negatives="easy")
    with pytest.raises(InputError, match=r"batch_size is 1, but must be a whole number at least 2\."):
        TrainingConfig(batch_size=1)


@pytest.mark.parametrize("config", [TrainingConfig(), TrainingConfig(**CHOSEN)], ids=["defaults", "all chosen"])
def test_json_and_back(config, tmp_path):
    assert TrainingConfig.from_json(config.to_json()) == config
    assert list(json.loads(config.to_json())) == FIELDS
    (tmp_path / "config.json").write_text(config.to_json(), encoding="utf-8")
    assert TrainingConfig.read(tmp_path / "config.json") == config


def test_what_json_leaves_out_has_its_default():
    assert TrainingConfig.from_json('{"seed": 3}') == TrainingConfig(seed=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "a JSON list"),
        ('{"leanring_rate": 1}', "no training option 'leanring_rate'. Did you mean 'learning_rate'"),
        ('{"margin": 5}', "margin is 5"),
        ('{"weights": 3}', "weights is 3"),
    ],
)
def test_bad_json(text, message):
    with pytest.raises(InputError, match=message):
        TrainingConfig.from_json(text)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ArtifactError, match="cannot be read"):
        TrainingConfig.read(tmp_path / "config.json")


def test_the_parts_of_an_objective():
    assert TrainingConfig(objective="triplet").parts == {"triplet": 1.0}
    assert TrainingConfig(weights={"contrastive": 1.0, "triplet": 0.5}).parts == {"contrastive": 1.0, "triplet": 0.5}
    with pytest.raises(InputError, match='objective="joint"'):
        TrainingConfig(objective="triplet", weights={"triplet": 2.0})


def test_a_share_of_duplicates_is_refused_beside_topics():
    with pytest.raises(InputError, match=r"positive_share is 0\.5 beside 20 topics.*Leave one of the two out"):
        TrainingConfig(positive_share=0.5, topics=20)
    assert TrainingConfig(topics=20).positive_share is None
    assert TrainingConfig(positive_share=0.5, length_buckets=8).topics == 1


def test_a_config_cannot_be_changed():
    weights = {"ranking": 1.0}
    config = TrainingConfig(weights=weights)
    weights["ranking"] = 5.0
    assert config.weights == {"ranking": 1.0}
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 1


def test_a_config_needs_no_torch():
    code = "import sys; from dupdetect.training import TrainingConfig; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_extra_the_error_names_the_pip_line():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import dupdetect.training\n"
        "from dupdetect.errors import MissingExtraError\n"
        "try:\n    dupdetect.training.fine_tune\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert 'pip install "dupdetect[train]"' in told
    assert "torch" in told
