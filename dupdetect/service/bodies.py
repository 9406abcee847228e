"""What requests hold, and what answers do that are no result of the index as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from dupdetect.index import Hit
from dupdetect.service.problems import invalid
from dupdetect.service.running import NewQuestion
from dupdetect.service.settings import Settings
from dupdetect.text import holds_halves

__all__ = ["AddBody", "CheckBody", "Health", "ScoreBody", "Scored", "Scores", "Similar", "SimilarBody", "check_limits"]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _addressable(name: str) -> str:
    """Return an id by which a question can be removed again; ValueError for one that no path of an address holds."""
    if name in (".", ".."):
        raise ValueError("`.` and `..` mean something else in an address, by which a question is removed")
    if _CONTROL.search(name):
        raise ValueError("line ends and control characters cannot stand in an address, by which a question is removed")
    return name


Text = Annotated[str, StringConstraints(strict=True)]
Name = Annotated[str, StringConstraints(strict=True, pattern=r"\S"), AfterValidator(_addressable)]


class _Body(BaseModel):
    """A JSON object that has the members named here, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ScoreBody(_Body):
    """Pairs of texts."""

    pairs: Annotated[list[tuple[Text, Text]], Field(min_length=1)]
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"pairs": [["How do I reset my password?", "I forgot my password, how can I set a new one?"]]}]
        }
    )


class SimilarBody(_Body):
    """A text, and how many known texts are wanted."""

    text: Text
    k: Annotated[int, Field(strict=True, ge=1)] = 5
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "How do I get my money back?", "k": 3}]})


class CheckBody(_Body):
    """A text."""

    text: Text
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "How do I get my money back?"}]})


class QuestionBody(_Body):
    """A question. label: its class, null for none."""

    id: Name
    text: Text
    label: Text | None = None


class AddBody(_Body):
    """Questions to be added, each with an id of its own, so that a request can be sent again."""

    questions: Annotated[list[QuestionBody], Field(min_length=1)]
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"questions": [{"id": "T-1017", "text": "How do I get a refund?", "label": "refunds"}]}]
        }
    )

    def new(self) -> list[NewQuestion]:
        return [NewQuestion(one.id, one.text, one.label) for one in self.questions]


@dataclass(frozen=True, slots=True)
class Scored:
    """similarity: cosine in [-1, 1].  probability: calibrated, in [0, 1].  duplicate: what the detector decides.
    guards: names of what speaks against the similarity."""

    similarity: float
    probability: float
    duplicate: bool
    guards: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scores:
    """Of each pair, in their order."""

    scores: tuple[Scored, ...]


@dataclass(frozen=True, slots=True)
class Similar:
    """The known texts that are most likely to ask the same, best first, duplicates or not."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """status: "ok"."""

    status: str


def check_limits(body: BaseModel, settings: Settings) -> None:
    """Raise a Problem for too many texts, texts that are too long, ids given twice and a k that is too large."""
    faults: list[tuple[str, str]] = []
    texts = list(_texts(body))
    longest = settings.text_length
    faults += [
        (where, f"{len(text):,} characters, and {longest:,} are allowed")
        for where, text in texts
        if len(text) > longest
    ]
    match body:
        case SimilarBody(k=k) if k > settings.most_hits:
            faults.append(("k", f"at most {settings.most_hits:,} hits can be had"))
        case ScoreBody(pairs=pairs) if 2 * len(pairs) > settings.texts:
            faults.append(
                ("pairs", f"{len(pairs):,} pairs, and {settings.texts // 2:,} are allowed. Send less at a time")
            )
        case AddBody(questions=questions):
            if len(questions) > settings.texts:
                faults.append(
                    (
                        "questions",
                        f"{len(questions):,} questions, and {settings.texts:,} are allowed. Send less at a time",
                    )
                )
            faults += _given_twice([one.id for one in questions])
    faults += [
        (where, "half of a surrogate pair, which is no character") for where, text in texts if holds_halves(text)
    ]
    if faults:
        raise invalid(faults)


def _texts(body: BaseModel) -> Iterator[tuple[str, str]]:
    """Yield each text of a body, ids and labels too, and where it is."""
    match body:
        case SimilarBody(text=text) | CheckBody(text=text):
            yield "text", text
        case ScoreBody(pairs=pairs):
            for row, pair in enumerate(pairs):
                for side, text in enumerate(pair):
                    yield f"pairs.{row}.{side}", text
        case AddBody(questions=questions):
            for row, one in enumerate(questions):
                for name in ("id", "text", "label"):
                    yield f"questions.{row}.{name}", getattr(one, name) or ""


def _given_twice(ids: Sequence[str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for row, name in enumerate(ids):
        if name in seen:
            yield f"questions.{row}.id", "another question of this request has this id"
        seen.add(name)
