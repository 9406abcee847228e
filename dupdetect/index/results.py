"""What an index gives back."""

from __future__ import annotations

from dataclasses import dataclass

from dupdetect.results import Explanation

__all__ = [
    "Added",
    "Check",
    "ClassMatch",
    "Classification",
    "ClusterMember",
    "Hit",
    "KnownCluster",
    "KnownQuestion",
    "Removed",
]


@dataclass(frozen=True, slots=True)
class KnownQuestion:
    """A question of the index. label: its class, None where it has none.  added: when, in UTC (ISO 8601)."""

    id: str
    text: str
    label: str | None
    added: str


@dataclass(frozen=True, slots=True)
class Added:
    """What became of questions that were to be added: given = added + unchanged, added = new_texts + repeats + blank.

    ids: of all that were given, in their order, with those that the index chose.  unchanged: there already.
    new_texts: whose text the index did not have, each distinct text once.  repeats: of a text that it has.
    pairs: of different texts, at or above the threshold, that came with them, guards and reviewers aside.
    notes: on what was read and chosen, and what the encoder does not read, a sentence each.
    """

    ids: tuple[str, ...]
    unchanged: int
    new_texts: int
    repeats: int
    blank: int
    pairs: int
    notes: tuple[str, ...] = ()

    @property
    def given(self) -> int:
        return len(self.ids)

    @property
    def added(self) -> int:
        return self.new_texts + self.repeats + self.blank


@dataclass(frozen=True, slots=True)
class Removed:
    """questions: removed.  texts: distinct texts that no other question has, and which are gone with them."""

    questions: int
    texts: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A known question that is like the text that was searched for.

    id, text, label: of the question that has this text longest, of `questions` with the same canonical text.
    similarity: cosine in [-1, 1].  probability: calibrated, in [0, 1], lower where a guard fires.
    duplicate: what the detector decides.  guards: names of the guards that fire.  same_text: equal canonical texts.
    """

    id: str
    text: str
    label: str | None
    questions: int
    similarity: float
    probability: float
    duplicate: bool
    guards: tuple[str, ...]
    same_text: bool


@dataclass(frozen=True, slots=True)
class Check:
    """Whether a text is a duplicate of a known question, of which, and why.

    best: the best hit, whether it is a duplicate or not; None where there is nothing to compare with.
    explanation: of the text and the best hit.
    """

    text: str
    duplicate: bool
    best: Hit | None
    explanation: Explanation | None


@dataclass(frozen=True, slots=True)
class ClassMatch:
    """A class, by the best of its questions; id, text, similarity, probability, duplicate and guards are its."""

    label: str
    id: str
    text: str
    similarity: float
    probability: float
    duplicate: bool
    guards: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Classification:
    """The class of a text. label: None where no question with a label is near enough ("none of these").

    probability: that the text asks the same as the best question of the first class; 0.0 where there is none.
    ranking: the best classes, best first.  threshold: the score, which is the similarity or, where a guard fires, less,
    from which on a text belongs to the class of a question.  outsiders: the share of the texts of classes that are not
    there that reach it, at most; None where there are too few classes to tell, and the threshold is that of duplicates.
    """

    text: str
    label: str | None
    probability: float
    ranking: tuple[ClassMatch, ...]
    threshold: float
    outsiders: float | None


@dataclass(frozen=True, slots=True)
class ClusterMember:
    """A question of a cluster. duplicate_of: the id of the question that stays for it; None where it stays itself, and
    then similarity and probability are None too.

    merged: somebody has put it together with that one (`QuestionIndex.merge`), so that it counts whatever the
    similarity, which is the measured one; the probability is 1 then.  chosen: somebody has chosen that it stays.
    """

    id: str
    text: str
    label: str | None
    duplicate_of: str | None
    similarity: float | None
    probability: float | None
    merged: bool = False
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class KnownCluster:
    """Questions that a chain of pairs holds together, in the order in which they were added.

    merged: the ids of those of its pairs that somebody put together, and their measured similarity; of several
    questions with the same text one is named.

    key: 32 hexadecimal digits for the canonical text of the first member, which stays unless another one was chosen
    (`QuestionIndex.set_survivor`). It is the same when
    questions are added to the cluster, or others of it removed, and in an index made anew.
    """

    key: str
    members: tuple[ClusterMember, ...]
    merged: tuple[tuple[str, str, float], ...] = ()

    @property
    def kept(self) -> tuple[str, ...]:
        """The ids of the questions that stay."""
        return tuple(member.id for member in self.members if member.duplicate_of is None)
