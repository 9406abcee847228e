"""N-way, few-shot: is a text most like an example of its own class?"""

from __future__ import annotations

import math
import reprlib
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dupdetect.encoder import Encoder
from dupdetect.errors import EmptyInputError, InputError
from dupdetect.progress import Progress, silent
from dupdetect.search import cosine, unit_rows
from dupdetect.text import canonical, is_missing

_BLOCK = 4_000_000  # float64 products at a time: 32 MB
# A product in float64 is off by 1e-12 at most, and rounding to float32, as `cosine` does, moves it by less than 6e-8.
_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class LeftOutTexts:
    """Rows that took no part, counted by reason; each row counts under the first reason that holds.

    blank: nothing to read. unclassified: no class (None, NaN, NA, white space). contradictions: the same text stands in
    several classes (all its rows go, as nothing says which is right). repeats: the same text in the same class again.
    in_small_classes: of the texts that remain, those of a class with too few of them to give the references and ask.
    """

    blank: int
    unclassified: int
    contradictions: int
    repeats: int
    in_small_classes: int


@dataclass(frozen=True, slots=True)
class NWayAccuracy:
    """How often a text is assigned to its own class, by one encoder; `str()` gives a few lines, `to_dict` JSON.

    ways: the number of classes N.  shots: references per class.  draws: how often references were drawn, with `seed`.
    texts: those that took part; in each draw, `ways * shots` of them are references and the other `queries` ask.
    accuracy: share of the queries that are assigned to their own class (Recall@1 of the class), the mean over the
    draws; deviation: its standard deviation over the draws (nan for one draw).
    small_classes: classes with fewer than `shots + 1` texts, left out.
    rows given = texts + all that `left_out` counts.
    """

    encoder: str
    ways: int
    shots: int
    draws: int
    seed: int
    texts: int
    queries: int
    accuracy: float
    deviation: float
    small_classes: int
    left_out: LeftOutTexts

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; a deviation that is not defined is None."""
        return asdict(self) | {"deviation": None if math.isnan(self.deviation) else self.deviation}

    def __str__(self) -> str:
        spread = "" if math.isnan(self.deviation) else f", standard deviation {self.deviation:.4f} over the draws"
        left_out = self.left_out
        return "\n".join(
            [
                f"Encoder {self.encoder}: {self.ways:,} ways, {self.shots:,} {'shot' if self.shots == 1 else 'shots'}, "
                f"{self.draws:,} {'draw' if self.draws == 1 else 'draws'} with seed {self.seed}",
                f"  accuracy {self.accuracy:.4f}{spread} (guessing: {1 / self.ways:.4f})",
                f"  {self.texts:,} texts; in each draw {self.texts - self.queries:,} are the references and "
                f"{self.queries:,} ask",
                f"  left out: {left_out.blank:,} blank, {left_out.unclassified:,} without a class, "
                f"{left_out.contradictions:,} in several classes, {left_out.repeats:,} repeats, "
                f"{left_out.in_small_classes:,} in {self.small_classes:,} classes of fewer than {self.shots + 1:,}",
            ]
        )


def n_way_accuracy(
    encoder: Encoder,
    texts: Sequence[str | None],
    groups: Sequence[Hashable] | NDArray[Any],
    *,
    shots: int = 1,
    draws: int = 20,
    seed: int = 0,
    progress: Progress = silent,
) -> NWayAccuracy:
    """Return how often a text is most similar to an example of its own class, among examples of all classes.

    In each draw, `shots` reference texts of every class are chosen at random, and every other text is assigned to the
    class of its most similar reference (cosine). Where references of t classes are equally similar and its own is one
    of them, it counts 1 / t, as a choice among them at random would. Classes with fewer than `shots + 1` texts are left
    out and counted.

    `texts` (n,), None, NaN or NA where there is none; `groups` (n,) the class of each, any hashable values. Texts are
    compared in their canonical form, and each is encoded once. Words that the encoder does not know play no part: this
    measures the encoder alone, and not the decisions of a detector, which rules out pairs that differ in such words.
    Neither the order of the rows nor the names of the classes change the result. More shots make the task easier, and
    more classes make it harder: compare equal ones.

    Raises EmptyInputError for no texts, and InputError when the columns differ in length, a text is not text, a class
    is not hashable, `shots` or `draws` is no whole number from 1, `seed` none from 0, or fewer than two classes have
    enough texts.
    """
    for name, value, least in (("shots", shots, 1), ("draws", draws, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise InputError(f"{name} is {value!r}, and must be a whole number, at least {least}.")
    shots, draws, seed = int(shots), int(draws), int(seed)  # not numpy's, which JSON cannot hold
    classed = _classified(texts, groups, shots)
    with progress("Encoding", len(classed.forms), "text") as advance:
        embeddings = unit_rows(
            encoder.encode(classed.forms, progress=advance), "The encoder's vectors", rows=len(classed.forms)
        )
    ways = len(classed.sizes)
    start = np.cumsum(classed.sizes) - classed.sizes
    generator = np.random.default_rng(seed)
    found = np.empty(draws)
    with progress("Drawing", draws, "draw") as advance:
        for draw in range(draws):
            # Every class in an order of its own; its first ones are the references.
            shuffled = np.lexsort((generator.random(len(classed.forms)), classed.of_form))
            references = shuffled[(start[:, None] + np.arange(shots)).ravel()]
            found[draw] = _share_assigned(embeddings, classed.of_form, references)
            advance(1)
    return NWayAccuracy(
        encoder=encoder.fingerprint,
        ways=ways,
        shots=shots,
        draws=draws,
        seed=seed,
        texts=len(classed.forms),
        queries=len(classed.forms) - ways * shots,
        accuracy=float(found.mean()),
        deviation=float(found.std(ddof=1)) if draws > 1 else math.nan,
        small_classes=classed.small,
        left_out=classed.left_out,
    )


class _Classified(NamedTuple):
    """forms: sorted canonical texts; of_form: (n,) their class, 0, 1, ...; sizes: (ways,) texts in each class."""

    forms: list[str]
    of_form: NDArray[np.int64]
    sizes: NDArray[np.int64]
    small: int
    left_out: LeftOutTexts


def _classified(texts: Sequence[str | None], groups: Sequence[Hashable] | NDArray[Any], shots: int) -> _Classified:
    """Return the texts that take part; classes are numbered by their smallest text, whatever they are called."""
    labels: list[Hashable] = groups.tolist() if isinstance(groups, np.ndarray) else list(groups)
    if len(texts) != len(labels):
        raise InputError(f"There are {len(texts)} texts and {len(labels)} classes: one class for each is needed.")
    if not labels:
        raise EmptyInputError("There are no texts. Pass texts, and the class of each.")
    blank = unclassified = 0
    rows: Counter[tuple[str, Hashable]] = Counter()
    for row, (text, label) in enumerate(zip(texts, labels, strict=True), start=1):
        form = _form(text, row)
        without_class = _is_no_class(label, row)
        if not form:
            blank += 1
        elif without_class:
            unclassified += 1
        else:
            rows[form, label] += 1
    classes_of = Counter(form for form, _ in rows)
    class_of = {form: label for form, label in sorted(rows, key=lambda item: item[0]) if classes_of[form] == 1}
    sizes = Counter(class_of.values())
    forms = [form for form, label in class_of.items() if sizes[label] > shots]
    number: dict[Hashable, int] = {}
    of_form = np.array([number.setdefault(class_of[form], len(number)) for form in forms], dtype=np.int64)
    if len(number) < 2:
        raise InputError(
            f"{len(number)} of {len(sizes)} classes have at least {shots + 1} different texts ({shots} to compare "
            "with, and one that asks), and two are needed. Add texts, or take fewer (shots=...)."
        )
    unambiguous = sum(count for (form, _), count in rows.items() if classes_of[form] == 1)
    return _Classified(
        forms,
        of_form,
        np.bincount(of_form),
        len(sizes) - len(number),
        LeftOutTexts(
            blank=blank,
            unclassified=unclassified,
            contradictions=rows.total() - unambiguous,
            repeats=unambiguous - len(class_of),
            in_small_classes=len(class_of) - len(forms),
        ),
    )


def _is_no_class(label: Hashable, row: int) -> bool:
    try:
        hash(label)
    except TypeError:
        kind = type(label).__name__
        raise InputError(
            f"Row {row}: the class is {reprlib.repr(label)}, of type {kind}, which cannot name a class. Convert it to "
            "str."
        ) from None
    return is_missing(label) or label != label or (isinstance(label, str) and not label.strip())


def _form(text: object, row: int) -> str:
    if is_missing(text):
        return ""
    if isinstance(text, str):
        return canonical(text)
    raise InputError(f"Row {row}: the text is {text!r}, of type {type(text).__name__}. Convert it to str.")


def _share_assigned(embeddings: NDArray[np.float32], of_row: NDArray[np.int64], references: NDArray[np.int64]) -> float:
    """Return the share of the rows that are no references and assigned to their own class; ties share what they won."""
    queries = np.setdiff1d(np.arange(len(of_row)), references)
    reference_vectors, reference_class = embeddings[references], of_row[references]
    targets = reference_vectors.astype(np.float64).T
    won = 0.0
    step = max(1, _BLOCK // len(references))
    for begin in range(0, len(queries), step):
        block = queries[begin : begin + step]
        products = embeddings[block].astype(np.float64) @ targets
        # The product only proposes, as in the search: a tie is a tie in `cosine`, whatever the block rounds to.
        query, reference = np.nonzero(products >= products.max(axis=1, keepdims=True) - _SLACK)
        exact = cosine(embeddings[block[query]], reference_vectors[reference])
        best = np.maximum.reduceat(exact, np.searchsorted(query, np.arange(len(block))))
        tied = exact == best[query]
        ways = len(targets.T)
        winners = np.unique(query[tied] * ways + reference_class[reference[tied]])  # a class counts once
        winner_query, winner_class = winners // ways, winners % ways
        share = 1 / np.bincount(winner_query, minlength=len(block))
        own = winner_class == of_row[block[winner_query]]
        won += float(share[winner_query[own]].sum())
    return won / len(queries)
