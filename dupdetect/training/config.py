"""How an encoder is trained: every choice in one value that can be written down."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from dupdetect.errors import ArtifactError, InputError

__all__ = ["PARTS", "Distance", "Form", "Mining", "Negatives", "Objective", "Precision", "TrainingConfig"]

Objective = Literal["contrastive", "triplet", "ranking", "joint"]
Form = Literal["margin", "logistic"]
Distance = Literal["cosine", "euclidean"]
Negatives = Literal["random", "semi-hard", "hard", "scheduled"]
Mining = Literal["batch", "index"]
Precision = Literal["auto", "float32", "bfloat16"]

PARTS = ("contrastive", "triplet", "ranking", "distillation")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "objective": ("contrastive", "triplet", "ranking", "joint"),
    "form": ("margin", "logistic"),
    "distance": ("cosine", "euclidean"),
    "negatives": ("random", "semi-hard", "hard", "scheduled"),
    "mining": ("batch", "index"),
    "precision": ("auto", "float32", "bfloat16"),
}
_JOINT: Mapping[str, float] = MappingProxyType({"contrastive": 1.0, "ranking": 1.0})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """Every option of `fine_tune`; raises InputError for one that cannot be meant.

    What is trained:
    `base`: a sentence-transformers folder, or a name on the hub.
    `max_tokens`: longer texts are cut; None = as the base does.
    `dropout`: share in [0, 1) of values dropped in training; None = as the base does. 0 was the fastest, and no worse.
    `train_embeddings`: whether the vectors of the tokens are trained too; without, words that the pairs never show keep
    their place among the others.
    `lora_rank`: instead of the weights, low-rank adapters of the linear layers are trained, and merged into the weights
    at the end; None = the weights themselves. Adapters want about ten times the learning rate.

    What is optimised:
    `objective`: "contrastive", "triplet", "ranking", or "joint", the sum of the parts that `weights` names.
    `weights`: part -> weight above 0, for "joint" alone; "distillation" there holds the student to a teacher.
    `distance`: "cosine", or "euclidean" on unit vectors; both lie in [0, 2].
    `form`: of the contrastive part: "margin" (others are pushed until `margin`), or "logistic" (a sigmoid of
    steepness `scale` that is one half at the distance `boundary`; both are learned too, unless not `learn_boundary`).
    `hard_pairs`: the contrastive part sees only those pairs of a batch that no threshold puts right.
    `negatives`: which other question makes a triplet; "scheduled" = semi-hard in the first half of the steps, then
    hard.
    `mining`: where from: "batch", or "index" = all questions, searched with the model before each epoch, and where
    "scheduled" changes to hard.
    `margin`: in (0, 2], of the contrastive margin form and of triplets.
    `temperature`: above 0, of the ranking part; smaller = the hardest candidates count more.
    `symmetric`: the ranking part also ranks the anchors for each duplicate.

    How:
    `batch_size`: pairs of a step. `positive_share`: of duplicates among them, in (0, 1); None = as the data has it.
    Not beside `topics`: a topic with few duplicates would repeat them many times.
    `group_aware`: no two pairs of a batch share a duplicate class, and known duplicates are masked among the negatives.
    So pairs labelled "not duplicate" are kept out of the batches of their questions' duplicates: they teach through the
    contrastive part and `mining` "index" alone, and the negatives of a batch are questions of other pairs. Without it
    every other question of a batch counts as a negative, right or wrong.
    `length_buckets`: a batch holds pairs of one of so many classes of length; 1 = of any length. `topics`: likewise, of
    one of so many topics, so that the questions of a batch are hard negatives; then the group rule masks alone.
    `epochs`: passes over the pairs; `steps`: instead of it, the number of batches.
    `learning_rate`: the highest; it rises from 0 during the first `warmup` (share in [0, 1)) of the steps, and falls to
    0 at the end. `weight_decay`: of AdamW.
    `seed`: of everything random. `precision`: "auto" = bfloat16 where the GPU computes in it, or the processor by
    tiles.
    `evaluate_every`, `checkpoint_every`: steps between them.
    `average_with_base`: share in [0, 1) of the base in the weights at the end; 0.5 kept most of what the base knew
    about other domains, and most of what was learned.
    """

    base: str = "sentence-transformers/all-MiniLM-L6-v2"
    max_tokens: int | None = 128
    dropout: float | None = 0.0
    train_embeddings: bool = True
    lora_rank: int | None = None
    objective: Objective = "joint"
    weights: Mapping[str, float] = field(default_factory=lambda: dict(_JOINT))
    distance: Distance = "cosine"
    form: Form = "logistic"
    scale: float = 10.0
    boundary: float = 0.35
    learn_boundary: bool = True
    hard_pairs: bool = False
    negatives: Negatives = "semi-hard"
    mining: Mining = "batch"
    margin: float = 0.5
    temperature: float = 0.05
    symmetric: bool = True
    batch_size: int = 128
    positive_share: float | None = None
    group_aware: bool = True
    length_buckets: int = 1
    topics: int = 1
    epochs: float = 1.0
    steps: int | None = None
    learning_rate: float = 5e-5
    warmup: float = 0.1
    weight_decay: float = 0.01
    seed: int = 0
    precision: Precision = "auto"
    evaluate_every: int = 200
    checkpoint_every: int = 200
    average_with_base: float = 0.0

    def __post_init__(self) -> None:
        for name, accepted in _CHOICES.items():
            if getattr(self, name) not in accepted:
                raise InputError(f"{name} is {getattr(self, name)!r}, but must be one of {', '.join(accepted)}.")
        for name in ("train_embeddings", "learn_boundary", "hard_pairs", "symmetric", "group_aware"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} is {getattr(self, name)!r}, but must be True or False.")
        if not (isinstance(self.base, str) and self.base.strip()):
            raise InputError(f"base is {self.base!r}, but must be a model's folder or its name on the hub.")
        self._check_numbers()
        self._check_weights()
        if self.positive_share is not None and self.topics > 1:
            raise InputError(
                f"positive_share is {self.positive_share!r} beside {self.topics} topics, but a topic with few "
                "duplicates would repeat them many times to reach that share. Leave one of the two out."
            )
        # A copy, so that nothing outside changes a frozen value.
        object.__setattr__(self, "weights", dict(self.weights))

    def _check_numbers(self) -> None:
        for name, least in (("max_tokens", 4), ("lora_rank", 1), ("batch_size", 2), ("steps", 1), ("seed", 0)):
            self._check(name, whole=True, low=least)
        for name in ("evaluate_every", "checkpoint_every", "length_buckets", "topics"):
            self._check(name, whole=True, low=1)
        for name in ("scale", "temperature", "epochs", "learning_rate"):
            self._check(name, low=0, strictly_above=True)
        self._check("weight_decay", low=0)
        self._check("boundary", low=0, high=2)
        self._check("margin", low=0, high=2, strictly_above=True)
        self._check("positive_share", low=0, high=1, strictly_above=True, strictly_below=True)
        for name in ("dropout", "warmup", "average_with_base"):
            self._check(name, low=0, high=1, strictly_below=True)

    def _check(
        self,
        name: str,
        *,
        low: float,
        high: float = math.inf,
        whole: bool = False,
        strictly_above: bool = False,
        strictly_below: bool = False,
    ) -> None:
        value = getattr(self, name)
        if value is None and name in _OPTIONAL:
            return
        kinds = (int,) if whole else (int, float)
        usable = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
        above = usable and (value > low if strictly_above else value >= low)
        if above and (value < high if strictly_below else value <= high):
            return
        what = "a whole number" if whole else "a number"
        start = f"above {low:g}" if strictly_above else f"at least {low:g}"
        end = "" if high == math.inf else (f" and below {high:g}" if strictly_below else f" and at most {high:g}")
        raise InputError(f"{name} is {value!r}, but must be {what} {start}{end}.")

    def _check_weights(self) -> None:
        if not isinstance(self.weights, Mapping) or not self.weights or set(self.weights) - set(PARTS):
            raise InputError(
                f"weights is {self.weights!r}, but must map some of {', '.join(PARTS)} to numbers above 0."
            )
        for name, weight in self.weights.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
                raise InputError(f"The weight of {name} is {weight!r}, but must be above 0. Leave a part out for 0.")
        if self.objective != "joint" and dict(self.weights) != dict(_JOINT):
            raise InputError(
                f"weights are those of the parts of the joint objective, but the objective is {self.objective!r}. "
                'Pass objective="joint", or no weights.'
            )

    @property
    def parts(self) -> dict[str, float]:
        """The parts of the objective, with their weights: all of `weights` when joint, else the only one, with 1."""
        return dict(self.weights) if self.objective == "joint" else {self.objective: 1.0}

    def to_json(self) -> str:
        """Return every option as a JSON object, in the order of the fields."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> TrainingConfig:
        """Return the config that `to_json` wrote; an option that is not named has its default.

        Raises InputError when the text is no JSON object, or names an option that there is not, besides what the
        constructor raises.
        """
        try:
            options: Any = json.loads(text)
        except ValueError as error:
            raise InputError(f"The training config is not JSON: {error}.") from None
        if not isinstance(options, dict):
            raise InputError(f"The training config is a JSON {type(options).__name__}, not an object of options.")
        known = [option.name for option in fields(cls)]
        unknown = sorted(set(options) - set(known))
        if unknown:
            close = difflib.get_close_matches(unknown[0], known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise InputError(f"There is no training option {unknown[0]!r}.{hint} Options: {', '.join(known)}.")
        return cls(**options)

    @classmethod
    def read(cls, path: str | Path) -> TrainingConfig:
        """Return the config in a JSON file. Raises ArtifactError when it cannot be read, else as `from_json`."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ArtifactError(f"The training config {path} cannot be read: {error}.") from None
        return cls.from_json(text)


_OPTIONAL = frozenset({"max_tokens", "dropout", "lora_rank", "positive_share", "steps"})
