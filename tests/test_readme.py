"""The README runs, and its numbers are those of the results that it names."""

import csv
import json
import re
import shlex
import shutil

import pytest
from readme_page import README, ROOT, assert_printed, blocks

from dupdetect import Detector
from dupdetect.cli import main

RESULTS = ROOT / "scripts" / "results"


def test_the_python_example_runs(capsys):
    code = blocks("python")[0]
    names = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102 - our own page
    assert names["detector"].predict(names["pairs"]).tolist() == [True, False]
    assert names["result"].kept.tolist().count(True) == 2
    assert names["matches"].best[0].row == 0
    assert "duplicates: similarity" in capsys.readouterr().out


def test_the_pandas_example_runs(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    code = next(code for code in blocks("python") if "read_csv" in code)
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.dupdetect*"))
    monkeypatch.chdir(tmp_path)
    names = {"detector": Detector.from_pretrained(tier="fast")}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102 - our own page
    tickets, kept = names["tickets"], pandas.read_csv("kept_tickets.csv")
    assert len(kept) == int(names["result"].kept.sum()) < len(tickets)
    assert kept["duplicate_of"].isna().all()
    assert set(tickets["duplicate_of"].dropna()) <= set(kept["id"])


def test_the_index_example_runs_line_by_line(tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.dupdetect*"))
    (tmp_path / "examples.csv").write_text("utterance,intent\nclose my account please,close\nhow do i pay,pay\n")
    monkeypatch.chdir(tmp_path)
    (block,) = (block for block in blocks("bash") if "index add faq" in block)
    for line in block.strip().splitlines():
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(line)[1:])
        assert stop.value.code == 0, capsys.readouterr().err
    assert "close" in capsys.readouterr().out


def test_the_training_example_runs_on_a_tiny_model(tmp_path, monkeypatch, capsys):
    """With another base, as the one that it names is not on every machine."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from tiny_bert import made_up_pairs, make_tiny_bert

    (code,) = blocks("py")
    assert code.count("sentence-transformers/all-MiniLM-L6-v2") == 1
    monkeypatch.chdir(tmp_path)
    base = make_tiny_bert(tmp_path)
    with (tmp_path / "my_pairs.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("question1", "question2", "label"), *made_up_pairs(900, seed=1).to_rows()])
    code = code.replace("sentence-transformers/all-MiniLM-L6-v2", base)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # two would wait for each other, for so small a model
    try:
        exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own page
    finally:
        torch.set_num_threads(before)
    assert "average precision" in capsys.readouterr().out
    assert Detector.from_pretrained("my-detector").predict_proba([("how do i get balan", "please explain")]).shape == (
        1,
        2,
    )


def test_the_console_example_runs_line_by_line(tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.dupdetect*"))
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("console")
    lines = block.strip().splitlines()
    assert len(lines) >= 4
    for line in lines:
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(line)[1:])
        assert stop.value.code == 0, capsys.readouterr().err


def test_the_two_commands_are_there_as_single_lines():
    assert "pip install -c constraints.txt . && dupdetect dedupe data/support_questions.csv" in README.splitlines()
    assert 'pip install -c constraints.txt -e ".[dev]" && pytest' in README.splitlines()


def test_the_first_summary_is_what_the_command_prints(tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.dupdetect*"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["dedupe", "data/support_questions.csv"])
    (shown,) = blocks("text")
    assert_printed(shown, capsys.readouterr().out)


def test_the_table_for_the_test_split_is_the_recorded_one():
    pair = json.loads((RESULTS / "shipped_detector.json").read_text())["test"]["pair"]
    names = {"average precision": "average_precision", "F1": "f1", "precision": "precision", "recall": "recall"}
    for name, key in names.items():
        value = pair[key]
        assert f"| {name} | {value['value']:.3f} | {value['low']:.3f} to {value['high']:.3f} |" in README


def test_the_table_for_other_domains_is_the_recorded_one():
    training = json.loads((RESULTS / "training.json").read_text())["models"]
    exported = json.loads((RESULTS / "export_encoder.json").read_text())["model"]["weights_sha256"]
    (shipped,) = (model for model in training.values() if model.get("weights_sha256") == exported)
    for name, base in training["base"]["other_domains"].items():
        assert f"| {name} | {base:.3f} | {shipped['other_domains'][name]:.3f} |" in README


def test_the_table_for_the_fast_tier_is_the_recorded_one():
    models = json.loads((RESULTS / "fast.json").read_text())["models"]
    names = {"average precision": ("average_precision", "value"), "F1": ("f1", "value")}
    names |= {"all pairs, average precision": ("mining_average_precision",), "Recall@1": ("recall_at_1",)}
    for name, path in names.items():
        values = []
        for model in ("untrained", "fast", "default"):
            value = models[model]
            for key in path:
                value = value[key]
            values.append(f"{value:.3f}")
        assert f"| {name} | {' | '.join(values)} |" in README
    manifest = json.loads((ROOT / "dupdetect" / "pretrained_fast" / "dupdetect.json").read_text())
    assert models["fast"]["threshold"] == manifest["calibration"]["threshold"]


def test_the_table_for_the_sample_is_the_recorded_one():
    results = json.loads((RESULTS / "sample.json").read_text())["results"]
    for name, row in results.items():
        if "refused" in row:
            assert re.search(rf"\| `?{re.escape(name)}`? \| refused", README)
            continue
        pairs = row["pairs"]
        cells = f"{row['threshold']:.4f} | {pairs['precision']:.3f} | {pairs['recall']:.3f} | {pairs['f1']:.3f}"
        traps = f"{row['near_miss_pairs_merged']} of {row['near_miss_pairs']:,}"
        assert f"{cells} | {row['removed_wrongly']} of {row['removed']} | {traps} |" in README


def test_the_table_of_examples_of_a_class_is_the_recorded_one():
    results = json.loads((RESULTS / "one_shot.json").read_text())["results"]
    for data, rows in results["default"].items():
        for shots, found in rows.items():
            base = results["base"][data][shots]
            cells = [base["accuracy"], found["accuracy"], base["auroc"], found["auroc"]]
            cells += [found[name] for name in ("own_class", "another_class", "unknown_that_get_a_class")]
            line = f"| {data}, {found['ways']} classes, {shots} | {' | '.join(f'{cell:.3f}' for cell in cells)} |"
            assert line in README
    found = results["default"]["HWU64"]["1 shot"]
    said = f"{100 * found['none_by_duplicates']:.0f} % of the texts of HWU64's classes got none with one example each"
    assert f"{said}, and now {100 * found['none']:.0f} %" in " ".join(README.split())
    manifest = json.loads((ROOT / "dupdetect" / "pretrained" / "dupdetect.json").read_text())
    encoders = json.loads((RESULTS / "one_shot.json").read_text())["encoders"]
    assert encoders["default"] == manifest["encoder"]["fingerprint"]


def test_the_load_of_the_service_is_the_recorded_one():
    run = json.loads((RESULTS / "service.json").read_text())
    said = f"answered {run['requests_per_second']:.0f} searches a second, 95 % of them within {run['ms']['p95']:.0f} ms"
    assert said in " ".join(README.split())


def test_the_scale_is_the_recorded_one():
    _, run, fast = json.loads((RESULTS / "scale.json").read_text())["runs"]
    assert f"100,000 short questions took {run['seconds']:.0f} s" in README
    assert f"and {run['peak_memory_mb']} MB on 2 cores, {run['stages']['search']:.0f} s of it" in README
    assert fast["rows"] == 500_000
    took = f"500,000 short texts {fast['seconds']:.0f} s and {fast['peak_memory_mb'] / 1000:.1f} GB"
    assert f"{took}, {fast['stages']['search']:.0f} s of it" in README


def test_the_join_is_as_much_faster_as_was_recorded():
    run = json.loads((RESULTS / "join.json").read_text())["runs"][-1]
    assert re.search(rf"takes {run['ratio']:.1f}\s+times as long as this one", README)
    assert run["texts"] > 99_000
    assert run["differences_within_rounding"] == 0


def test_a_million_texts_are_compared_as_recorded():
    record = json.loads((RESULTS / "large_join.json").read_text())
    run = record["join"]
    said = f"{record['rows']:,} texts were compared in {run['seconds']:.0f} s and {run['peak_memory_mb'] / 1000:.1f} GB"
    assert said in " ".join(README.split())
    assert run["sha256"] == record["resumed"]["sha256"]


def test_the_tables_of_the_benchmark_are_the_recorded_ones():
    assert (RESULTS / "benchmark.md").read_text().strip() in README


def test_what_ray_costs_is_the_recorded_cost():
    record = json.loads((RESULTS / "cluster.json").read_text())
    for size in record["sizes"]:
        assert size["identical_files"]
        seconds = {(way["engine"], way["cores"]): way["seconds"] for way in size["ways"]}
        cells = [
            cell
            for cores in (1, 2)
            for cell in (
                f"{seconds['local', cores]:.0f} s",
                f"{seconds['ray', cores]:.0f} s",
                f"{size['overhead_of_ray'][f'{cores} of {cores}']:.0%}",
            )
        ]
        assert f"| {size['rows']:,} | {' | '.join(cells)} |" in README


def test_predictions_and_what_they_were_checked_against_are_the_recorded_ones():
    record = json.loads((RESULTS / "plan.json").read_text())
    for tier, runs in record["runs"].items():
        for run in runs:
            said, took, ratio = run["predicted"], run["real"], run["predicted_to_real"]
            cells = [f"{said['seconds']:,.0f}", f"{took['seconds']:,.0f}", f"{ratio['seconds']:.2f}"]
            cells += [f"{said['memory_mb']:,}", f"{took['memory_mb']:,}", f"{ratio['memory']:.2f}"]
            assert f"| {run['rows']:,} | {tier} | {' | '.join(cells)} |" in README
    for tier, found in record["predictions"].items():
        for most in {one["rows"] for one in found}:
            by_workers = {one["workers"]: one for one in found if one["rows"] == most}
            cells = [
                _long(by_workers[some][kind]["seconds"]) for kind in ("exact", "approximate") for some in (16, 256)
            ]
            bytes_of_one, bytes_of_store = by_workers[256]["exact"]["memory"], by_workers[256]["store"]
            cells += [f"{bytes_of_one / 1e9:,.0f} GB", f"{bytes_of_store / 1e9:,.0f} GB"]
            assert f"| {most:,} | {tier} | {' | '.join(cells)} |" in README


def _long(seconds):
    return f"{seconds / 3600:,.1f} h" if seconds < 360_000 else f"{seconds / 86_400:,.0f} days"


def test_other_processors_answer_as_recorded():
    processors = json.loads((RESULTS / "processors.json").read_text())["processors"]
    avx2, vnni = processors["avx2"], processors["avx512_vnni avx_vnni avx512f avx2"]
    amx = next(found for kind, found in processors.items() if "amx" in kind)
    manifest = json.loads((ROOT / "dupdetect" / "pretrained" / "dupdetect.json").read_text())
    (made_on,) = (found for found in processors.values() if found["encoder"] == manifest["encoder"]["fingerprint"])
    said = " ".join(README.split())
    assert made_on["answers"]["threshold"]["here"] == manifest["calibration"]["threshold"]
    assert "With the weights that were shipped before these, three other kinds were measured" in said
    for found in (made_on, vnni, amx):
        assert found["answers"]["same_to_the_bit"] == found["answers"]["pairs"]
    threshold, answers = avx2["answers"]["threshold"], avx2["answers"]
    assert threshold["here"] == threshold["shipped"]
    assert f"{answers['same_to_the_bit']:,} of {answers['pairs']:,} similarities were the same to the bit" in said
    assert f"the others at most {answers['furthest_apart']:.4f} apart" in said
    for found in (made_on, vnni, amx, avx2):
        fast, join = found["encoding"]["times_as_fast"], found["joining"]["ratio"]
        assert f"{fast:.1f} times as fast, and the plain product took {join:.1f} times as long" in said
    assert all(found["joining"]["differences_within_rounding"] == 0 for found in processors.values())


def test_the_profile_is_the_recorded_one():
    record = json.loads((RESULTS / "profile.json").read_text())
    before, after = record["encoding"]["before"], record["encoding"]["after"]
    for kind, share in before["shares"].items():
        seconds = share * before["seconds"], after["shares"][kind] * after["seconds"]
        assert f"| {kind} | {seconds[0]:.2f} | {seconds[1]:.2f} |" in README
    assert f"| all | {before['seconds']:.2f} | {after['seconds']:.2f} |" in README
    tiers = [(name, record["comparing"][name]) for name in ("default", "fast")]
    for kind in ("products", "comparing", "finding"):
        cells = [f"{tier[when][kind]:.2f}" for _, tier in tiers for when in ("before", "after")]
        assert f"| {kind} | {' | '.join(cells)} |" in README
    peak = record["peak"]["integers"]
    least = record["encoding"]["operations_of_weights"] / 1e9 / peak
    said = " ".join(README.split())
    assert f"{peak:.0f} billion 8-bit integers a second" in said
    assert f"the products of weights take {least:.2f} s" in said
    assert f"more than {before['seconds'] / least:.1f} times as fast as sentence-transformers here" in said
    assert f"This is {before['seconds'] / after['seconds']:.1f} times" in said


def test_what_was_shipped_is_what_was_measured():
    """The numbers in the results belong to the encoder in the package."""
    manifest = json.loads((ROOT / "dupdetect" / "pretrained" / "dupdetect.json").read_text())
    shipped = json.loads((RESULTS / "shipped_detector.json").read_text())
    assert shipped["calibration"]["encoder"] == manifest["encoder"]["fingerprint"]
    assert shipped["calibration"]["threshold"] == manifest["calibration"]["threshold"]
    assert json.loads((RESULTS / "sample.json").read_text())["encoder"] == manifest["encoder"]["fingerprint"]
    assert json.loads((RESULTS / "export_encoder.json").read_text())["onnx_sha256"] == manifest["files"]["model.onnx"]


def test_the_ablation_table_is_the_recorded_one():
    rows = json.loads((RESULTS / "ablation.json").read_text())["rows"]
    for name, row in rows.items():
        other = f"{row['other_domains_mean']:.3f}" if "other_domains_mean" in row else ""
        cells = (row["average_precision"]["value"], row["mining_average_precision"], row["recall_at_1"])
        assert f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} | {other} |" in README
    safe, leaky = (rows[f"contrastive, logistic{end}"]["average_precision"]["value"] for end in ("", ", random split"))
    assert f"look better by {leaky - safe:.3f}." in README


def test_the_table_of_the_guards_is_the_recorded_one():
    tiers = json.loads((RESULTS / "guards.json").read_text())["tiers"]
    columns = ("precision", "recall", "f1", "average_precision", "expected_calibration_error")
    shown = [*tiers["default"]["test"].values(), *tiers["default"]["forum titles"].values()]
    shown += list(tiers["fast"]["test"].values())[1:]
    for point in shown:
        assert f"| {' | '.join(f'{point[name]:.3f}' for name in columns)} |" in README
    fired = tiers["default"]["validation"]["fired"]["any"]
    shares = f"{fired['duplicates']:.0%} are duplicates, while their similarity promises"
    assert f"{shares} {fired['promised_by_similarity']:.0%}" in " ".join(README.split())


def _decided(found):
    names = ("precision", "recall", "f1", "expected_calibration_error")
    return " | ".join(f"{found[name]:.3f}" for name in names)


def test_the_table_of_reviews_is_the_recorded_one():
    domains = json.loads((RESULTS / "reviews.json").read_text())["results"]
    for name, domain in domains.items():
        assert f"| {name}: as shipped | {_decided(domain['shipped'])} | |" in README
        for labels, found in domain["labels"].items():
            cells = "too few of a kind | | | " if found["too_few_of_a_kind"] > 0.5 else _decided(found)
            assert f"| {name}: {labels} labels | {cells} | {found['certified']:.1%} |" in README
            assert found["wrong_certificates"] == 0
