"""What a detector is, in words for who finds its folder, and in the front matter that the Hugging Face hub reads."""

from __future__ import annotations

import json
from typing import Any

from dupdetect.calibration import Calibration

__all__ = ["for_sentence_transformers", "model_card"]

_MEASURES = {"precision": "Precision", "recall": "Recall", "f1": "F1"}


def model_card(
    name: str,
    calibration: Calibration | None,
    *,
    load_from: str = "FOLDER",
    license: str | None = None,  # noqa: A002 - the hub's name
    base_model: str | None = None,
    modules: bool = False,
) -> str:
    """Return the README.md of a detector folder as Markdown.

    load_from: what to hand to `Detector.from_pretrained`.  license, base_model: where they are known.  modules: whether
    the folder tells sentence-transformers to read the weights out of the detector's files.
    """
    found = {} if calibration is None else calibration.summary()
    front = [
        *([f"license: {license}"] if license else []),
        *([f"base_model: {json.dumps(base_model)}"] if base_model else []),
        "library_name: dupdetect",
        "pipeline_tag: sentence-similarity",
        "tags:",
        *(f"- {tag}" for tag in ("dupdetect", "duplicate-detection", "sentence-similarity")),
        *_model_index(name, found),
    ]
    lines = [
        "---",
        *front,
        "---",
        f"# {_line(name)}",
        "",
        "Says which short texts ask the same thing: an encoder, and a calibrated threshold.",
        "",
        "```python",
        "from dupdetect import Detector",
        "",
        f"detector = Detector.from_pretrained({json.dumps(load_from, ensure_ascii=False)})",
        'detector.predict([("How do I pay?", "Where can I pay?")])',
        "```",
        "",
        *([for_sentence_transformers(load_from)] if modules else []),
        *(f"- {key.replace('_', ' ').capitalize()}: {_shown(value)}" for key, value in found.items()),
    ]
    if not license:
        lines += [
            "",
            "No licence is stated: those of the encoder and of the data decide. Add it before you share this.",
        ]
    return "\n".join(lines) + "\n"


def for_sentence_transformers(load_from: str) -> str:
    """Return how to load the encoder of a folder as a model of sentence-transformers, as Markdown."""
    name = json.dumps(load_from, ensure_ascii=False)
    return f"""The encoder alone, as a model of sentence-transformers (needs `pip install "dupdetect[train]"`):

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer({name}, trust_remote_code=True)
```

sentence-transformers asks for the flag because the module that reads the weights is dupdetect's; no code is taken from
here. `model.save(...)` writes an ordinary folder that needs neither. A detector compares texts in their canonical form
(`dupdetect.canonical`), so hand them over in it.
"""


def _model_index(name: str, found: dict[str, Any]) -> list[str]:
    """Return the lines of what was measured; none where nothing was. JSON is YAML, too."""
    metrics = [
        {"type": key, "value": found[key]["value"], "name": f"{title} on {found['measured_on']}"}
        for key, title in _MEASURES.items()
        if key in found and found[key]["value"] is not None
    ]
    if not metrics:
        return []
    data = {"type": "labelled-pairs", "name": found["data"] or "labelled pairs"}
    result = {"task": {"type": "sentence-similarity"}, "dataset": data, "metrics": metrics}
    return ["model-index:", f"- {json.dumps({'name': name, 'results': [result]})}"]


def _shown(value: Any) -> str:
    """Return a value of `Calibration.summary`; what was measured with its interval."""
    if isinstance(value, dict) and value["value"] is not None:
        return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
    return "nothing to measure" if isinstance(value, dict) else _line(f"{value:.4f}" if type(value) is float else value)


def _line(value: object) -> str:
    """Return a value on one line, its markup shown and not obeyed."""
    return " ".join(str(value).split()).replace("<", "&lt;")
