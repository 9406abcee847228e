"""Fine-tuning a tiny random BERT on made-up questions: it learns, it resumes, it notices when it collapses."""

import contextlib
import dataclasses
import functools
import itertools
import json
import sys
import xml.etree.ElementTree
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")

from sentence_transformers import SentenceTransformer  # noqa: E402
from tiny_bert import made_up_pairs, make_tiny_bert  # noqa: E402

from dupdetect.errors import ArtifactError, EmptyInputError, InputError, LeakageError, MissingExtraError  # noqa: E402
from dupdetect.metrics import average_precision, curve  # noqa: E402
from dupdetect.search import cosine  # noqa: E402
from dupdetect.training import CollapseError, Teacher, TrainingConfig, average_weights, combine_weights, fine_tune  # noqa: E402
from dupdetect.training.batch_loss import BatchLoss  # noqa: E402
from dupdetect.training.checkpoints import load_checkpoint  # noqa: E402
from dupdetect.training.collapse import RandomSimilarity, check_not_collapsed, random_similarity  # noqa: E402
from dupdetect.training.curves import learning_curve  # noqa: E402
from dupdetect.training.models import compute_type, embed, encode, load_model, require_no_prompt  # noqa: E402
from dupdetect.training.run import TrainingRun  # noqa: E402


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    return make_tiny_bert(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def data():
    return made_up_pairs(240, seed=1), made_up_pairs(120, seed=2)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def config_of(base, **options):
    quick = {"steps": 6, "batch_size": 16, "learning_rate": 2e-3, "evaluate_every": 3, "checkpoint_every": 4}
    return TrainingConfig(**{"base": base, "precision": "float32", **quick, **options})


def all_but_one(pairs):
    return pairs.select(np.arange(1, len(pairs)))


def weights_of(folder):
    return SentenceTransformer(str(folder), device="cpu").state_dict()


def copied(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def largest_difference(one, other):
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def lines_of(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line.pop("pairs_per_second", None)
    return [{name: value for name, value in line.items() if value is not None} for line in lines]


class Interrupted(Exception):
    """Stands for a kill: nothing catches it, and the checkpoint is what is left."""


def interrupted_after(steps):
    @contextlib.contextmanager
    def progress(stage, total, unit):
        done = [0]

        def advance(more):
            done[0] += more
            if done[0] >= steps:
                raise Interrupted

        yield advance

    return progress


@pytest.fixture(scope="module")
def trained(base, data, tmp_path_factory):
    """A run long enough to learn something."""
    torch.set_num_threads(1)
    config = config_of(base, steps=60, batch_size=32, evaluate_every=20)
    return fine_tune(config, *data, tmp_path_factory.mktemp("trained") / "model")


# What comes out.


def test_it_learns(trained):
    lines = lines_of(trained)
    assert [line["step"] for line in lines[:-1]] == [0, 20, 40, 60]
    assert lines[-1]["final_average_precision"] > lines[0]["validation_average_precision"] + 0.1
    assert lines[3]["loss"] < lines[1]["loss"]
    assert set(lines[1]["parts"]) == {"contrastive", "ranking"}


def test_validation_picks_the_checkpoint(trained):
    lines = lines_of(trained)
    best = max(lines[1:-1], key=lambda line: line["validation_average_precision"])
    assert lines[-1]["step"] == best["step"]
    assert lines[-1]["final_average_precision"] == pytest.approx(best["validation_average_precision"])


def test_the_result_is_a_sentence_transformers_folder(trained, base):
    model = SentenceTransformer(str(trained), device="cpu")
    assert model.max_seq_length == SentenceTransformer(base, device="cpu").max_seq_length
    assert model.encode(["how do i get balan"], show_progress_bar=False).shape == (1, 32)
    assert TrainingConfig.read(trained / "training.json").steps == 60
    assert not trained.with_name("model.training").exists()
    assert not list(trained.glob("**/*.bin")) + list(trained.glob("**/*.pt"))


def test_the_picture_is_svg_with_a_point_for_each_evaluation(trained):
    root = xml.etree.ElementTree.fromstring((trained / "learning_curve.svg").read_text(encoding="utf-8"))  # noqa: S314
    circles = root.findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 3 + 4  # no loss before the first step
    xml.etree.ElementTree.fromstring(learning_curve([]))  # noqa: S314
    xml.etree.ElementTree.fromstring(learning_curve([{"step": 0, "loss": None, "validation_average_precision": 0.5}]))  # noqa: S314


# Epochs.


@pytest.mark.parametrize("epochs", [1.0, 2.0, 0.5, 1.25, 0.001])
def test_an_epoch_is_a_pass_over_all_pairs_however_short_its_batches(base, data, epochs):
    run = TrainingRun(config_of(base, steps=None, epochs=epochs, length_buckets=4), *data, None)
    first, second = (len(list(run.batches.epoch(number))) for number in (0, 1))
    assert min(first, second) > len(data[0]) / 16
    steps = {1.0: first, 2.0: first + second, 0.5: round(first / 2), 1.25: first + round(second / 4), 0.001: 1}
    batches = list(run.remaining_batches())
    assert run.steps == len(batches) == steps[epochs]
    if epochs == int(epochs):
        assert (np.bincount(np.concatenate(batches), minlength=len(data[0])) == epochs).all()


def test_pairs_are_counted_as_they_are_passed_after_an_interruption_too(base, data, monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr("dupdetect.training.run.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    config = config_of(base, steps=None, epochs=1.0, length_buckets=4)

    def advanced(run, steps):
        sizes = []
        for rows in itertools.islice(run.remaining_batches(), steps):
            run.advance(rows)
            sizes.append(len(rows))
        run.evaluate()  # a second after the clock was set, as each look at it takes one
        return sum(sizes), run.lines[-1]

    first = TrainingRun(config, *data, None)
    pairs, line = advanced(first, 7)
    assert pairs < 7 * 16
    assert (line["pairs_per_second"], line["epoch"]) == (pairs, round(pairs / len(data[0]), 4))
    resumed = TrainingRun(config, *data, None)
    resumed.restore(first.checkpoint("the same"))
    more, line = advanced(resumed, None)
    assert pairs + more == len(data[0])
    assert (line["pairs_per_second"], line["epoch"]) == (more, 1.0)


# Seeds and interruptions.


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.1},
        {"objective": "triplet", "negatives": "random"},
        {"mining": "index", "weights": {"triplet": 1.0, "ranking": 1.0}, "batch_size": 40},
        {"mining": "index", "objective": "triplet", "negatives": "scheduled"},
        {"lora_rank": 4},
        {"length_buckets": 8},
    ],
    ids=["joint", "triplet", "mined", "scheduled", "low-rank", "short batches"],
)
def test_a_resumed_run_ends_like_an_uninterrupted_one(base, data, tmp_path, options):
    config = config_of(base, steps=11, **options)
    whole = fine_tune(config, *data, tmp_path / "whole")
    for steps in (7, 10):  # killed twice, each time beyond a checkpoint
        with pytest.raises(Interrupted):
            fine_tune(config, *data, tmp_path / "cut", resume=True, progress=interrupted_after(steps))
    checkpoint = load_checkpoint(tmp_path / "cut.training" / "checkpoint.pt")
    assert checkpoint.step == 8
    resumed = fine_tune(config, *data, tmp_path / "cut", resume=True)
    assert largest_difference(weights_of(whole), weights_of(resumed)) < 1e-6
    for one, other in zip(lines_of(whole), lines_of(resumed), strict=True):
        parts = one.pop("parts", {}), other.pop("parts", {})
        assert one == pytest.approx(other, rel=1e-5)
        assert parts[0] == pytest.approx(parts[1], rel=1e-5)


def test_an_interrupted_run_is_neither_overwritten_nor_mixed_up(base, data, tmp_path):
    config = config_of(base)
    with pytest.raises(Interrupted):
        fine_tune(config, *data, tmp_path / "model", progress=interrupted_after(5))
    with pytest.raises(InputError, match="resume=True"):
        fine_tune(config, *data, tmp_path / "model")
    for other in (
        (config_of(base, learning_rate=1e-3), *data),
        (config, all_but_one(data[0]), data[1]),
        (config, data[0], all_but_one(data[1])),
    ):
        with pytest.raises(InputError, match="another config or other data"):
            fine_tune(*other, tmp_path / "model", resume=True)
    assert fine_tune(config, *data, tmp_path / "model", resume=True).is_dir()


def test_a_checkpoint_with_code_in_it_is_refused(base, data, tmp_path):
    (tmp_path / "model.training").mkdir()
    torch.save({"step": Interrupted()}, tmp_path / "model.training" / "checkpoint.pt")
    with pytest.raises(ArtifactError, match="Delete it to start over"):
        fine_tune(config_of(base), *data, tmp_path / "model", resume=True)


def test_the_callers_random_numbers_are_left_alone(base, data, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fine_tune(config_of(base, steps=1), *data, tmp_path / "model")
    assert torch.equal(torch.rand(3), expected)


# Every option counts.

CHANGES = {
    "max_tokens": ({}, 5),
    "dropout": ({}, 0.3),
    "train_embeddings": ({}, False),
    "lora_rank": ({}, 4),
    "objective": ({}, "ranking"),
    "weights": ({}, {"contrastive": 1.0, "ranking": 3.0}),
    "distance": ({"objective": "contrastive"}, "euclidean"),
    "form": ({"objective": "contrastive"}, "margin"),
    "scale": ({"objective": "contrastive"}, 3.0),
    "boundary": ({"objective": "contrastive"}, 0.8),
    "learn_boundary": ({"objective": "contrastive"}, False),
    "hard_pairs": ({"objective": "contrastive", "batch_size": 4, "steps": 12}, True),
    "negatives": ({"objective": "triplet"}, "hard"),
    "mining": ({"objective": "triplet"}, "index"),
    "margin": ({"objective": "triplet"}, 0.05),
    "temperature": ({"objective": "ranking"}, 0.5),
    "symmetric": ({"objective": "ranking"}, False),
    "batch_size": ({}, 24),
    "positive_share": ({}, 0.2),
    "group_aware": ({"batch_size": 64}, False),
    "length_buckets": ({}, 4),
    "topics": ({}, 4),
    "epochs": ({"steps": None, "epochs": 0.2}, 0.4),
    "steps": ({}, 3),
    "learning_rate": ({}, 1e-3),
    "warmup": ({}, 0.5),
    "weight_decay": ({}, 0.9),
    "seed": ({}, 1),
    "precision": ({}, "bfloat16"),
    "average_with_base": ({}, 0.5),
}
SEEN_ELSEWHERE = {"base", "evaluate_every", "checkpoint_every"}  # in the tests above


@functools.cache
def run_of(options, base, folder):
    data = made_up_pairs(240, seed=1), made_up_pairs(120, seed=2)
    name = f"run{len(list(folder.iterdir()))}"
    return weights_of(fine_tune(dataclasses.replace(config_of(base), **dict(options)), *data, folder / name))


@pytest.mark.parametrize("option", CHANGES)
def test_every_option_changes_the_weights(option, base, tmp_path_factory):
    others, value = CHANGES[option]
    folder = tmp_path_factory.getbasetemp() / "options"
    folder.mkdir(exist_ok=True)
    before = run_of(tuple(others.items()), base, folder)
    config = dataclasses.replace(config_of(base), **others)
    changed = fine_tune(
        dataclasses.replace(config, **{option: value}), made_up_pairs(240, seed=1), made_up_pairs(120, seed=2),
        folder / option,
    )  # fmt: skip
    assert largest_difference(before, weights_of(changed)) > 1e-6


def test_no_option_is_left_untried():
    assert {field.name for field in dataclasses.fields(TrainingConfig)} == set(CHANGES) | SEEN_ELSEWHERE


def test_low_rank_adapters_end_as_an_ordinary_model(base, data, tmp_path):
    old = load_model(base).state_dict()
    new = weights_of(fine_tune(config_of(base, lora_rank=3), *data, tmp_path / "model"))
    assert set(new) == set(old)
    change = {name: (new[name] - old[name]).float() for name in new}
    adapted = {name for name, difference in change.items() if difference.abs().max() > 0}
    kinds = ("query", "key", "value", "dense")
    assert adapted == {name for name in new if ".layer." in name and name.endswith(tuple(f"{k}.weight" for k in kinds))}
    assert all(torch.linalg.matrix_rank(change[name], rtol=1e-3) <= 3 for name in adapted)


def test_adapters_without_their_package_name_the_pip_line(base, data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r'pip install "dupdetect\[train\]"'):
        fine_tune(config_of(base, lora_rank=3), *data, tmp_path / "model")


def test_frozen_token_vectors_stay_and_the_rest_moves(base, data, tmp_path):
    old = load_model(base).state_dict()
    new = weights_of(fine_tune(config_of(base, train_embeddings=False), *data, tmp_path / "model"))
    moved = {name for name in new if not torch.equal(new[name], old[name])}
    assert moved
    assert not any("word_embeddings" in name for name in moved)


# The base, and other teachers.


def test_averaging_with_the_base(base, data, tmp_path):
    tuned, base_model = fine_tune(config_of(base), *data, tmp_path / "tuned"), load_model(base)
    model = load_model(str(tuned))
    old, new = base_model.state_dict(), model.state_dict()
    for share in (0.0, 0.25, 1.0):
        averaged = average_weights(base_model, model, share).state_dict()
        by_hand = {name: share * old[name] + (1 - share) * new[name] for name in new}
        assert largest_difference(averaged, by_hand) < 1e-6
    halved = fine_tune(config_of(base, average_with_base=0.5), *data, tmp_path / "halved")
    assert largest_difference(weights_of(halved), average_weights(base_model, model, 0.5).state_dict()) < 1e-6
    assert lines_of(halved)[-1]["average_with_base"] == 0.5


def test_what_several_trainings_learned_is_added_up(base, data, tmp_path):
    start = load_model(base)
    first = load_model(str(fine_tune(config_of(base), *data, tmp_path / "first")))
    second = load_model(str(fine_tune(config_of(base, objective="triplet", seed=1), *data, tmp_path / "second")))
    old, one, two = start.state_dict(), first.state_dict(), second.state_dict()
    assert largest_difference(one, two) > 1e-4
    by_hand = {name: old[name] + 0.75 * (one[name] - old[name]) + 0.5 * (two[name] - old[name]) for name in old}
    together = combine_weights(start, [(first, 0.75), (second, 0.5)])
    assert largest_difference(together.state_dict(), by_hand) < 1e-6
    assert largest_difference(combine_weights(start, []).state_dict(), old) == 0
    assert largest_difference(load_model(base).state_dict(), old) == 0  # the base is as it was


def test_averaging_refuses_other_shapes_and_shares(base):
    model = load_model(base)
    with pytest.raises(InputError, match="from 0 to 1"):
        average_weights(model, model, 1.5)
    with pytest.raises(InputError, match="different weights"):
        average_weights(model[0], model, 0.5)
    with pytest.raises(InputError, match="different weights"):
        combine_weights(model, [(model, 0.5), (model[0], 0.5)])


def test_distillation_keeps_the_geometry_of_the_base(base, data, tmp_path):
    texts = data[1].nodes().texts

    def cosines(folder):
        rows = encode(load_model(str(folder)), texts, None)
        return rows @ rows.T

    def drift(name, **options):
        return float(np.square(cosines(fine_tune(config_of(base, **options), *data, tmp_path / name)) - before).mean())

    before = cosines(base)
    held = {"contrastive": 1.0, "distillation": 100.0}
    slow = {"steps": 25, "learning_rate": 1e-3}
    assert drift("held", weights=held, **slow) < drift("free", objective="contrastive", **slow) / 2


def test_another_teacher_has_a_say(base, data, tmp_path):
    config = config_of(base, weights={"contrastive": 1.0, "distillation": 10.0})
    rows = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    teacher = Teacher([f"can you tell me {n}" for n in range(40)], rows / np.linalg.norm(rows, axis=1, keepdims=True))
    taught = weights_of(fine_tune(config, *data, tmp_path / "taught", teacher=teacher))
    assert largest_difference(taught, weights_of(fine_tune(config, *data, tmp_path / "itself"))) > 1e-4
    with pytest.raises(InputError, match="no part"):
        fine_tune(config_of(base), *data, tmp_path / "no", teacher=teacher)
    with pytest.raises(InputError, match="at least 2 texts"):
        Teacher(["one"], rows)


# The model in training.


def test_rows_follow_their_texts_whatever_their_lengths(base):
    model = load_model(base)
    texts = ["please explain balan", "how do i get kosed 12", "mipol", "what is the way to tuwix 1234 5678"] * 30
    expected = np.concatenate([encode(model, [text], None) for text in texts])
    assert np.allclose(embed(model, texts, None).detach().numpy(), expected, atol=1e-5)
    assert np.allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-5)


def test_precision(monkeypatch):
    cpu, gpu, other = (torch.device(name) for name in ("cpu", "cuda", "meta"))
    assert compute_type("float32", cpu) is None
    assert compute_type("bfloat16", cpu) is torch.bfloat16
    for tiles, expected in ((True, torch.bfloat16), (False, None)):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda tiles=tiles: tiles, raising=False)
        assert compute_type("auto", cpu) is expected
        assert compute_type("auto", other) is None
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    assert compute_type("auto", cpu) is None
    # As torch answers on a card that multiplies in it, and on one that only emulates it.
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    assert compute_type("auto", gpu) is torch.bfloat16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert compute_type("auto", gpu) is None


def test_a_base_stored_in_16_bits_is_loaded_in_32(base, tmp_path):
    stored = SentenceTransformer(base, device="cpu").half()
    stored.save(str(tmp_path / "half"), create_model_card=False)
    weights = load_model(str(tmp_path / "half")).cpu().state_dict()
    assert {value.dtype for value in weights.values() if value.is_floating_point()} == {torch.float32}
    assert all(torch.equal(value, stored.state_dict()[name].to(value.dtype)) for name, value in weights.items())


def test_known_duplicates_are_no_negatives_of_a_batch():
    torch.manual_seed(0)
    left, right = torch.randn(4, 8), torch.randn(4, 8)
    labels = torch.tensor([True, False, True, False])
    allowed = torch.ones(4, 4, dtype=bool)
    allowed[:, 2] = False
    for objective in ("ranking", "triplet"):
        loss = BatchLoss(TrainingConfig(objective=objective, negatives="hard", margin=2.0, symmetric=False))
        moved = right.clone()
        moved[2] = left[0]  # the nearest candidate there could be, were it allowed
        moved.requires_grad_()
        rows = loss(left, moved, labels, allowed)
        (gradient,) = torch.autograd.grad(rows[objective], moved)
        alone = torch.cosine_similarity(left[2], moved[2], dim=0)
        (own,) = torch.autograd.grad(alone, moved)
        # it is pulled to its own anchor, and pushed by nobody
        assert torch.allclose(
            torch.nn.functional.normalize(-gradient[2], dim=0), torch.nn.functional.normalize(own[2], dim=0), atol=1e-4
        )


def test_scheduled_negatives_begin_semi_hard_and_end_hard():
    torch.manual_seed(1)
    left, right, allowed = torch.randn(9, 4), torch.randn(9, 4), torch.ones(9, 9, dtype=bool)

    def loss(negatives, share):
        config = TrainingConfig(objective="triplet", negatives=negatives)
        labels = torch.ones(9, dtype=bool)
        return BatchLoss(config)(left, right, labels, allowed, step_share=share)["triplet"].item()

    assert loss("scheduled", 0.0) == loss("semi-hard", 0.0) != loss("hard", 0.0)
    assert loss("scheduled", 1.0) == loss("hard", 1.0)


def test_scheduled_negatives_are_mined_anew_where_their_kind_changes(base, data):
    config = config_of(base, steps=6, objective="triplet", mining="index", negatives="scheduled")
    run = TrainingRun(config, *data, None)
    kinds = []
    for rows in run.remaining_batches():
        kinds.append((run.mined.epoch, run.mined.negatives))
        run.advance(rows)
    assert kinds == [(0, "semi-hard")] * 3 + [(0, "hard")] * 3


@pytest.mark.parametrize(("warmup", "steps"), [(0.9, 2), (0.6, 1), (0.99, 3)])
def test_the_last_step_is_never_of_the_warmup(base, data, tmp_path, warmup, steps):
    lines = lines_of(fine_tune(config_of(base, warmup=warmup, steps=steps), *data, tmp_path / "model"))
    rates = {line["step"]: line["learning_rate"] for line in lines if "learning_rate" in line}
    assert rates[steps] == 0 < rates[0]


# Collapse.


def test_a_collapse_is_an_error_that_says_what_to_do(base, data, tmp_path):
    config = config_of(base, objective="contrastive", form="margin", margin=0.001, learning_rate=3e-2, steps=40)
    with pytest.raises(CollapseError, match="Lower learning_rate"):
        fine_tune(config, *data, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert fine_tune(config_of(base, steps=1), *data, tmp_path / "model").is_dir()


def test_the_best_weights_before_a_collapse_are_kept(base, data, tmp_path, monkeypatch):
    def collapsed(found, step):
        if step == 6:
            raise CollapseError("All texts are the same.")

    config, work = config_of(base, steps=9), tmp_path / "model.training"
    with monkeypatch.context() as patch:
        patch.setattr("dupdetect.training.run.check_not_collapsed", collapsed)
        with pytest.raises(CollapseError, match=r"the same\. The best weights before that, of step 3, are in .*\.pt\."):
            fine_tune(config, *data, tmp_path / "model")
    assert {path.name for path in work.iterdir()} == {"collapsed.pt", "metrics.jsonl"}
    best, model = load_checkpoint(work / "collapsed.pt").best, load_model(base)
    model.load_state_dict(best.weights)
    nodes = data[1].nodes()
    rows = encode(model, nodes.texts, None)
    reached = average_precision(curve(cosine(rows[nodes.left], rows[nodes.right]), data[1].labels))
    assert reached == pytest.approx(best.average_precision)
    assert reached == pytest.approx(lines_of(work)[-1]["validation_average_precision"])
    # There is nothing to continue from, and nothing in the way.
    assert lines_of(fine_tune(config, *data, tmp_path / "model", resume=True))[-2]["step"] == 9
    assert not work.exists()


def test_a_collapse_without_any_weights_worth_keeping_leaves_the_metrics_alone(base, data, tmp_path, monkeypatch):
    def collapsed(found, step):
        if step:
            raise CollapseError("All texts are the same.")

    monkeypatch.setattr("dupdetect.training.run.check_not_collapsed", collapsed)
    with pytest.raises(CollapseError, match=r"^All texts are the same\.$"):
        fine_tune(config_of(base, evaluate_every=6), *data, tmp_path / "model")
    assert [path.name for path in (tmp_path / "model.training").iterdir()] == ["metrics.jsonl"]


@pytest.mark.parametrize("spread", [(0.995, 0.05), (0.5, 0.0), (np.nan, np.nan)])
def test_what_counts_as_collapse(spread):
    check_not_collapsed(RandomSimilarity(0.3, 0.1), 3)
    with pytest.raises(CollapseError, match="at step 3"):
        check_not_collapsed(RandomSimilarity(*spread), 3)
    with pytest.raises(CollapseError, match="another base"):
        check_not_collapsed(RandomSimilarity(*spread), 0)


def test_random_similarity_never_compares_a_text_with_itself():
    found = random_similarity(np.eye(3, dtype=np.float32))
    assert (found.mean, found.std) == (0, 0)


# Bad input.


def test_data_that_cannot_train(base, data, tmp_path):
    train, validation = data
    config, output = config_of(base), tmp_path / "model"
    with pytest.raises(EmptyInputError, match="no train pairs"):
        fine_tune(config, train.select([]), validation, output)
    with pytest.raises(InputError, match="both labels"):
        fine_tune(config, train.select(train.labels), validation, output)
    with pytest.raises(InputError, match="both labels"):
        fine_tune(config, train, validation.select(~validation.labels), output)
    with pytest.raises(LeakageError, match=r"\d+ questions"):
        fine_tune(config, train, train, output)
    assert fine_tune(config, train, train, output, shared_questions=True).is_dir()
    with pytest.raises(InputError, match="exists already"):
        fine_tune(config, train, validation, output)
    with pytest.raises(InputError, match="Make it first"):
        fine_tune(config, train, validation, tmp_path / "nowhere" / "model")


def test_no_triplets_to_be_mined_is_an_error(base, data, tmp_path):
    config = config_of(base, objective="triplet", mining="index", margin=1e-9)
    with pytest.raises(InputError, match="No semi-hard triplets were found"):
        fine_tune(config, *data, tmp_path / "model")


def test_three_pairs_are_enough_to_run(base, data, tmp_path):
    few = data[0].select([*np.flatnonzero(data[0].labels)[:2], np.flatnonzero(~data[0].labels)[0]])
    assert fine_tune(config_of(base), few, data[1], tmp_path / "model").is_dir()


def test_a_base_that_is_not_there(data, tmp_path):
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        fine_tune(config_of(str(tmp_path)), *data, tmp_path / "model")


# Export.


@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.:FutureWarning")
def test_an_export_gives_nearly_the_same_vectors(base, data, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    from dupdetect.encoder.onnx import OnnxEncoder
    from dupdetect.training import export_onnx

    model, texts = load_model(base), data[1].nodes().texts
    before, trainable = copied(model), [weight.requires_grad for weight in model.parameters()]
    assert export_onnx(model, tmp_path / "encoder") == tmp_path / "encoder"
    assert [weight.requires_grad for weight in model.parameters()] == trainable
    assert largest_difference(before, model.state_dict()) == 0
    cosine = (OnnxEncoder.load(tmp_path / "encoder").encode(texts) * encode(model, texts, None)).sum(1)
    assert cosine.min() > 0.97


def test_a_model_that_puts_a_prompt_before_every_text_is_not_exported(base, tmp_path):
    pytest.importorskip("onnx")
    from dupdetect.training import export_onnx

    model = load_model(base)
    model.prompts, model.default_prompt_name = {"query": "query: ", "plain": ""}, "query"
    with pytest.raises(InputError, match=r"puts 'query: ' before every text.*Choose another base"):
        export_onnx(model, tmp_path / "encoder")
    assert not (tmp_path / "encoder").exists()
    model.default_prompt_name = "plain"
    require_no_prompt(model)


@pytest.mark.parametrize("part", ["pooling", "activation", "more"])
def test_what_the_graph_cannot_be_is_not_exported(base, tmp_path, part):
    pytest.importorskip("onnx")
    from sentence_transformers.sentence_transformer.modules import Dense

    from dupdetect.training import export_onnx

    model = load_model(base)
    if part == "pooling":
        model[1].pooling_mode = "cls"
    elif part == "activation":
        model[0].auto_model.config.hidden_act = "relu"
    else:
        model = SentenceTransformer(modules=[model[0], model[1], Dense(32, 16)], device="cpu")
    with pytest.raises(InputError, match="can be exported"):
        export_onnx(model, tmp_path / "encoder")
    assert not (tmp_path / "encoder").exists()
