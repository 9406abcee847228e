"""What the scripts that train take from an earlier run, and what they refuse; nothing is trained here."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

for package in ("torch", "sentence_transformers", "onnx"):
    pytest.importorskip(package)

SCRIPTS = Path(__file__).parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

import ablate  # noqa: E402
import train_default  # noqa: E402
import train_fast  # noqa: E402
from conftest import labelled_pairs  # noqa: E402

from dupdetect.training import TrainingConfig  # noqa: E402

CONFIG = TrainingConfig(base="base", steps=3)
OTHER = TrainingConfig(base="base", steps=3, learning_rate=1e-3)
RECIPE = {"joint": train_default.Training(CONFIG, "quora", (1.0,))}
EARLIER = train_default.Earlier("0123", "45", (0.5,))
OTHERS = {"joint": train_default.Training(OTHER, "quora", (1.0,))}
BASE, GRID = (0.0, 0.0), [(0.5, 0.0), (0.5, 1.0), (1.0, 0.0), (1.0, 1.0)]
PARTS = ("train", "validation", "calibration", "test")


def write_model(folder, config=CONFIG, weights=b"weights"):
    folder.mkdir()
    (folder / "training.json").write_text(config.to_json(), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_a_model_of_another_config_is_refused(tmp_path):
    assert not train_default.is_trained(tmp_path / "tuned", CONFIG)
    tuned = write_model(tmp_path / "tuned")
    assert train_default.is_trained(tuned, CONFIG)
    for refused in (
        lambda: train_default.is_trained(tuned, OTHER),
        lambda: train_fast.is_trained(tuned, OTHER),
        lambda: ablate.trained(OTHER, None, tuned, None),
    ):
        with pytest.raises(SystemExit, match=r"another config\. Delete it, or name another WORK\."):
            refused()


def test_shares_are_measured_once_for_the_same_weights_and_anew_for_others(tmp_path, monkeypatch):
    seen = []

    class Model:
        def save(self, folder, create_model_card):
            pass

    def combined(base, tuned, shares):
        seen.append(shares)
        return Model()

    def measured():
        seen.clear()
        shares = train_default.measured_shares(Path("base"), tuned, GRID, None, tmp_path)
        assert {name: found["quora"] for name, found in shares.items()} == dict.fromkeys(map(named, every), 0.5)
        return list(seen)

    named, every = train_default.named, [BASE, *GRID]
    monkeypatch.setattr(train_default, "combined", combined)
    monkeypatch.setattr(train_default, "as_encoder", lambda folder: None)
    monkeypatch.setattr(train_default, "on_validation", lambda encoder, pairs: {"pairs": 0.7})
    monkeypatch.setattr(train_default, "development", lambda encoder: {"quora": 0.5})
    tuned = {name: write_model(tmp_path / name) for name in ("joint", "triplet")}
    assert measured() == every
    assert measured() == []
    (tmp_path / "triplet" / "model.safetensors").write_bytes(b"others")
    assert measured() == every


def test_the_shares_with_the_best_mean_are_chosen_of_those_that_lose_nowhere():
    found = {train_default.named(shares): {"quora": 0.8, "forum": 0.7} for shares in [BASE, *GRID]}
    found[train_default.named(GRID[1])] = {"quora": 0.9, "forum": 0.7}
    found[train_default.named(GRID[2])] = {"quora": 0.99, "forum": 0.699}  # a better mean, but 0.001 is lost
    assert train_default.chosen(found, GRID) == GRID[1]
    lost = {name: {"quora": 0.9, "forum": 0.6} for name in found}
    lost[train_default.named(BASE)] = {"quora": 0.8, "forum": 0.7}
    lost[train_default.named(GRID[3])] = {"quora": 0.8, "forum": 0.69}
    assert train_default.chosen(lost, GRID) == GRID[3]


def test_each_training_adds_as_far_as_its_share(monkeypatch):
    monkeypatch.setattr(train_default, "load_model", str)
    monkeypatch.setattr(train_default, "combine_weights", lambda base, trainings: (base, trainings))
    tuned = {name: Path(name) for name in ("joint", "triplet", "ranking")}
    base, trainings = train_default.combined(Path("base"), tuned, (1.0, 0.25, 0.5))
    assert base == "base"
    assert trainings == [("joint", 1.0), ("triplet", 0.25), ("ranking", 0.5)]


def test_no_two_trainings_share_their_seed():
    recipe = train_default.recipe(train_default.CONFIG)
    seeds = [config.seed for seed in range(3) for config in train_default.configs(recipe, "base", seed).values()]
    assert len(set(seeds)) == len(seeds) == 3 * len(recipe)
    assert {training.pairs for training in recipe.values()} == {"quora", "many domains", "natural"}
    assert all(training.shares for training in recipe.values())


def test_the_ledger_keeps_models_of_the_same_config_and_data_with_their_machines(tmp_path, monkeypatch):
    ledger, data = tmp_path / "training.json", tmp_path / "pairs.parquet"
    data.write_bytes(b"pairs")
    monkeypatch.setattr(train_default, "LEDGER", ledger)
    monkeypatch.setattr(train_default, "QUORA", data)
    monkeypatch.setattr(train_default, "measured", lambda encoder, calibration, pairs: {"recall_at_1": 0.7})
    begun = train_default.started(RECIPE, EARLIER)
    assert begun["models"] == {}
    monkeypatch.setattr(train_default, "machine", lambda: {"processor": "the first"})
    begun["models"]["seed 0"] = train_default.measured_here(None, ablate.Parts(*PARTS))
    ledger.write_text(json.dumps(begun), encoding="utf-8")
    monkeypatch.setattr(train_default, "machine", lambda: {"processor": "the second"})
    found = train_default.started(RECIPE, EARLIER)
    assert found == begun
    assert found["models"]["seed 0"]["machine"] == {"processor": "the first"}
    assert found["models"]["seed 0"]["versions"]["torch"]
    assert train_default.started(OTHERS, EARLIER)["models"] == {}
    data.write_bytes(b"other pairs")
    assert train_default.started(RECIPE, EARLIER)["models"] == {}


def test_every_recorded_model_says_where_it_was_measured():
    recorded = json.loads(train_default.LEDGER.read_text(encoding="utf-8"))
    assert all({"machine", "versions"} <= set(model) for model in recorded["models"].values())


def test_the_table_goes_on_only_where_it_was_made_alike(tmp_path, monkeypatch):
    table, data = tmp_path / "ablation.json", tmp_path / "pairs.parquet"
    data.write_bytes(b"pairs")
    monkeypatch.setattr(ablate, "TABLE", table)
    monkeypatch.setattr(ablate, "QUORA", data)
    monkeypatch.setattr(ablate, "revision", lambda: "0123")
    results = ablate.started({"steps": 60})
    assert results["rows"] == {}
    ablate.keep(results, "base", {"recall_at_1": 0.7}, None)
    assert ablate.started({"steps": 60})["rows"] == {"base": {"recall_at_1": 0.7, "minutes": None, "revision": "0123"}}
    with pytest.raises(SystemExit, match=r"\(budget\)\. Move it away"):
        ablate.started({"steps": 61})
    monkeypatch.setattr(ablate, "machine", lambda: {"processor": "another"})
    data.write_bytes(b"other pairs")
    with pytest.raises(SystemExit, match=r"\(data, machine\)\. Move it away"):
        ablate.started({"steps": 60})


def test_parts_at_random_are_as_large_as_the_others():
    pairs, sizes = labelled_pairs(50), (20, 9, 8, 7)
    starts = np.cumsum([0, *sizes])
    like = ablate.Parts(*(pairs.select(np.arange(n) + start) for n, start in zip(sizes, starts[:-1], strict=True)))
    parts = [getattr(ablate.random_parts(pairs, like), name) for name in PARTS]
    assert tuple(map(len, parts)) == sizes
    assert len({text for part in parts for text in part.left}) == sum(sizes)


def test_minutes_are_those_of_the_whole_training_or_unknown(tmp_path, monkeypatch):
    made = []

    def fine_tune(config, train, validation, output, **options):
        made.append(output)
        return write_model(output, config)

    monkeypatch.setattr(ablate, "fine_tune", fine_tune)
    parts = ablate.Parts(*PARTS)
    whole, resumed, killed = (tmp_path / name for name in ("whole", "resumed", "killed"))
    assert ablate.trained(CONFIG, parts, whole, None) == pytest.approx(0, abs=0.1)
    resumed.with_name("resumed.training").mkdir()
    assert ablate.trained(CONFIG, parts, resumed, None) is None
    write_model(killed)  # before its minutes were written
    assert [ablate.trained(CONFIG, parts, folder, None) for folder in (whole, resumed, killed)] == [0.0, None, None]
    assert made == [whole, resumed]
