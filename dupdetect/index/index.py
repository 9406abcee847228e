"""`QuestionIndex`: known questions in a folder."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from dupdetect.artifacts import IN_INDEX
from dupdetect.atomic import atomic_folder, is_empty_folder
from dupdetect.detector import Detector
from dupdetect.distinct_texts import DistinctTexts
from dupdetect.encoded_texts import EncodedTexts, encode_texts
from dupdetect.encoder import LimitedVocabulary
from dupdetect.encoder.cache import uncached
from dupdetect.errors import ArtifactError, DecidedOtherwiseError, InputError, OutputExistsError
from dupdetect.index import changes, decisions
from dupdetect.index.checked import DamagedRowsError, read_state, strings
from dupdetect.index.classes import classification, reach_classes
from dupdetect.index.duplicates import StoredQuestions, clusters_of, known_duplicates
from dupdetect.index.manifest import MANIFEST, IndexManifest, read_manifest, write_manifest
from dupdetect.index.results import (
    Added,
    Check,
    Classification,
    Hit,
    KnownCluster,
    KnownQuestion,
    Removed,
)
from dupdetect.index.rows import Rows, id_of, rows_of
from dupdetect.index.searching import Scored, best_texts
from dupdetect.index.store import IndexStore, make_store
from dupdetect.index.viewing import View
from dupdetect.progress import Progress, silent
from dupdetect.results import Deduplication, Explanation
from dupdetect.results.pair_decisions import compared_words
from dupdetect.shell import quoted
from dupdetect.text import canonical

__all__ = ["QuestionIndex"]


class QuestionIndex:
    """Known questions in a folder: add, remove, search, find duplicates, classify. See `dupdetect.index`.

    Make one with `create`, open it with `open`; use it in a `with`, or close it. Any number of threads may use it at
    once, while one of them, or another process, adds or removes.

    Every method may raise ArtifactError for a folder that is damaged, and InputError for one that has been closed or
    must not be written to; those that change it, IndexLockedError where another process goes on changing it.
    """

    def __init__(self, folder: Path, detector: Detector) -> None:
        self.folder = folder
        self.detector = detector
        self._calibration = detector.require_calibration()
        self._store = IndexStore(folder)
        self._view = View(self._store, detector.encoder)

    # Making and keeping ------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, folder: str | Path, detector: Detector | None = None) -> QuestionIndex:
        """Make an empty index in a folder that is not there yet, or empty; return it.

        detector: the shipped one by default. It is kept in the folder, with its threshold as it is now. An encoder of
        the caller's own cannot be: pass the detector to `open` then.

        Raises OutputExistsError where there is something, NotCalibratedError for a detector without a threshold,
        CalibrationError for one whose threshold was chosen for the pairs of one file.
        """
        chosen = Detector.from_pretrained() if detector is None else detector
        chosen.require_calibration()
        target = Path(folder)
        _check_free(target)
        with atomic_folder(target, marker=MANIFEST) as place:
            saved: str | None = IN_INDEX
            try:
                chosen.save_pretrained(place / IN_INDEX)
            except ArtifactError:  # an encoder of the caller's own
                saved = None
            write_manifest(place, IndexManifest.of(chosen, saved))
            make_store(place)
        return cls(target, chosen)

    @classmethod
    def open(cls, folder: str | Path, detector: Detector | None = None) -> QuestionIndex:
        """Open an index with the detector that it was made with: by default the one that is kept in its folder.

        Raises ArtifactError for what is no index, damaged or of a newer format, and for a detector with another
        encoder, calibration, threshold or guards: `rebuild` makes an index for that one.
        """
        target = Path(folder)
        manifest = read_manifest(target)
        if detector is None:
            if manifest.detector is None:
                raise ArtifactError(
                    f"The index {target} does not hold its detector, {manifest.name!r}, whose encoder "
                    f"{manifest.encoder} cannot be saved. Pass it: QuestionIndex.open({str(folder)!r}, detector=...)."
                )
            detector = Detector.from_pretrained(target / manifest.detector)
        manifest.check(detector, target)
        return cls(target, detector)

    @classmethod
    def rebuild(
        cls, source: str | Path, folder: str | Path, detector: Detector | None = None, *, progress: Progress = silent
    ) -> QuestionIndex:
        """Make an index in a new folder with the questions and decisions of another, `source`, by another detector.

        With the detector of `source` itself, the default, it is the same index without what removed questions have left
        in the files: vectors, and pages of the database that are used again only later.

        Raises what `create` and, without a detector, `open` raise. The new folder stands there complete, or not at all.
        """
        read_manifest(Path(source))
        _check_free(Path(folder))
        if detector is None:
            with cls.open(source) as own:
                detector = own.detector
        store = IndexStore(Path(source))
        try:
            with store.reading() as connection:
                columns = connection.execute("SELECT id, text, label, added FROM questions ORDER BY number").fetchall()
                _check_questions(columns)
                next_question = read_state(connection).next_question
                decided = decisions.read_all(connection)
        finally:
            store.close()
        rows = Rows(
            texts=tuple(text for _, text, _, _ in columns),
            ids=tuple(name for name, _, _, _ in columns),
            labels=tuple(label for _, _, label, _ in columns),
            labelled=True,
            added=tuple(added for _, _, _, added in columns),
        )
        target = Path(folder)
        with atomic_folder(target, marker=MANIFEST) as place, cls.create(place / "new", detector) as index:
            index._add(rows, progress)
            with index._store.writing() as connection:
                decisions.write_all(connection, decided)
                # No id is given to a second question, not even that of one that was removed.
                connection.execute("UPDATE state SET next_question = max(next_question, ?)", (next_question,))
            index.close()
            for file in (place / "new").iterdir():
                file.rename(place / file.name)
            (place / "new").rmdir()
        return cls(target, index.detector)

    def close(self) -> None:
        """Close the files, after the changes that are being made."""
        self._store.close()
        self._view.forget()

    def __enter__(self) -> QuestionIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # What is there -----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """The number of questions, blank ones included."""
        with self._store.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM questions").fetchone()[0])

    def __contains__(self, id: object) -> bool:  # noqa: A002
        if not isinstance(id, str):
            return False
        with self._store.reading() as connection:
            return connection.execute("SELECT 1 FROM questions WHERE id = ?", (id_of(id),)).fetchone() is not None

    def __iter__(self) -> Iterator[KnownQuestion]:
        """The questions, in the order in which they were added."""
        with self._store.reading() as connection:
            rows = connection.execute("SELECT id, text, label, added FROM questions ORDER BY number").fetchall()
            _check_questions(rows)
        return (KnownQuestion(*row) for row in rows)

    def __getitem__(self, id: str) -> KnownQuestion:  # noqa: A002
        """Return a question by its id; InputError where there is none."""
        with self._store.reading() as connection:
            row = connection.execute(
                "SELECT id, text, label, added FROM questions WHERE id = ?", (id_of(id),)
            ).fetchone()
            _check_questions([] if row is None else [row])
        if row is None:
            raise changes.no_question(self.folder, [id])
        return KnownQuestion(*row)

    @property
    def version(self) -> int:
        """A number that rises with each change: what was found in one version holds while it is the same."""
        with self._store.reading() as connection:
            return read_state(connection).version

    @property
    def counts(self) -> dict[str, int]:
        """How the questions add up: questions = blank + texts + repeats.

        pairs: of texts at or above the threshold, guards and reviewers aside.  told_apart: pairs of texts that
        reviewers told apart, merged: that somebody put together, and survivors: texts that somebody chose to stay,
        whether they are there at present or not.
        """
        with self._store.reading() as connection:
            questions, blank, labelled, classes, texts, pairs, apart, merged, survivors = (
                connection.execute(f"SELECT {what}").fetchone()[0]
                for what in (
                    "count(*) FROM questions",
                    "count(*) FROM questions WHERE form IS NULL",
                    "count(label) FROM questions",
                    "count(DISTINCT label) FROM questions",
                    "count(*) FROM forms",
                    "count(*) FROM pairs",
                    "count(*) FROM told_apart",
                    "count(*) FROM merged",
                    "count(*) FROM survivors",
                )
            )
        return {
            "questions": questions,
            "texts": texts,
            "repeats": questions - blank - texts,
            "blank": blank,
            "labelled": labelled,
            "classes": classes,
            "pairs": pairs,
            "told_apart": apart,
            "merged": merged,
            "survivors": survivors,
        }

    # Changing it -------------------------------------------------------------------------------------------------

    def add(
        self,
        questions: Any,
        *,
        text: str | Sequence[str] | None = None,
        id: str | None = None,  # noqa: A002 - as Detector.deduplicate
        label: str | None = None,
        ids: Iterable[str] | None = None,
        labels: Iterable[str | None] | None = None,
        progress: Progress = silent,
    ) -> Added:
        """Add questions, all of them or, whatever goes wrong, none; texts that the index does not have are encoded.

        questions, text, id: as for `Detector.deduplicate`.  label: the column of the class of each, blank for none.
        ids, labels: the same as lists. Without ids each question gets a number that no other has; so the same list,
        added twice, is there twice.

        A question whose id is there already, with the same text, is left as it is, and counted as unchanged. With
        another text, or another label where labels are given, it is an InputError: remove it first. So is an id that
        is given twice, and a threshold that more than 10 million pairs of texts reach.
        """
        rows = rows_of(questions, text=text, id=id, label=label, ids=ids, labels=labels)
        return self._add(rows, progress)

    def remove(self, ids: Iterable[str]) -> Removed:
        """Remove the questions with these ids, all of them or, where one is not there (InputError), none.

        Their texts are deleted, and found no more. The vector of a text stays in the file, where no search finds it,
        until as many are unused as are used; then a file without them takes its place. Where it must be gone at once,
        `rebuild` makes an index in which there never was one; delete the old folder then.
        """
        if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
            raise InputError(f"ids must be a list of ids, not {ids!r}. Put it in a list.")
        names = list(dict.fromkeys(map(id_of, ids)))
        with self._store.writing() as connection:
            removed = changes.remove(connection, self.folder, names)
            changes.compact(connection, self.folder, int(self.detector.encoder.dimension))
        changes.delete_unused_files(self._store)
        return removed

    def unmerge(self, id_a: str, id_b: str) -> None:
        """Remember that two questions are no duplicates: the pair never counts again, whatever its similarity.

        It is remembered by the canonical texts, and so holds for all questions with these texts, and after they were
        removed and added again. Both can still be duplicates of a third one, and so be in one cluster.

        Raises InputError for an id that is not there, and for two questions with the same text; DecidedOtherwiseError
        for two that were merged: take that back first (`forget_merge`).
        """
        with self._store.writing() as connection:
            forms = self._two_forms(connection, id_a, id_b)
            if decisions.is_merged(connection, *forms):
                raise DecidedOtherwiseError(
                    f"The questions {id_a!r} and {id_b!r} have been merged, and cannot be told apart too. If they do "
                    "not ask the same, take that back first",
                    f"forget_merge({id_a!r}, {id_b!r}), or `{self._undo('merge', id_a, id_b)}`.",
                )
            decisions.tell_apart(connection, *forms)

    def forget(self, id_a: str, id_b: str) -> bool:
        """Undo `unmerge`; return whether there was anything to undo. Raises InputError for what is not there."""
        with self._store.writing() as connection:
            return decisions.forget_told_apart(connection, *self._two_forms(connection, id_a, id_b))

    def merge(self, id_a: str, id_b: str) -> None:
        """Remember that two questions ask the same: the pair counts from now on, whatever its similarity and the
        guards, in `clusters` and `duplicates`. What `search`, `check` and `classify` say of a text does not change.

        It is remembered by the canonical texts, as `unmerge` is. One of the two, or both, can then be removed in favour
        of another: each for a kept one that it was compared with and reaches the threshold, or that it was merged with.

        Raises InputError for an id that is not there, and for two questions with the same text; DecidedOtherwiseError
        for two that were told apart: take that back first (`forget`).
        """
        with self._store.writing() as connection:
            forms = self._two_forms(connection, id_a, id_b)
            if decisions.is_told_apart(connection, *forms):
                raise DecidedOtherwiseError(
                    f"The questions {id_a!r} and {id_b!r} have been told apart, and cannot be merged too. If they do "
                    "ask the same, take that back first",
                    f"forget({id_a!r}, {id_b!r}), or `{self._undo('unmerge', id_a, id_b)}`.",
                )
            decisions.merge(connection, *forms)

    def forget_merge(self, id_a: str, id_b: str) -> bool:
        """Undo `merge`; return whether there was anything to undo. Raises InputError for what is not there."""
        with self._store.writing() as connection:
            return decisions.forget_merge(connection, *self._two_forms(connection, id_a, id_b))

    def set_survivor(self, id: str) -> None:  # noqa: A002
        """Remember that a question stays wherever it is a duplicate: those that are a pair with it go.

        Without such a choice the question that was added first stays. Of two that are a pair, and both chosen, the one
        that was chosen last stays. It is remembered by the canonical text, and so survives that the question is removed
        and added again; of several questions with this text the one with this id stays, if it is there.

        Raises InputError for an id that is not there, and for a question without a text.
        """
        with self._store.writing() as connection:
            decisions.choose(connection, self._form(connection, id), id_of(id))

    def forget_survivor(self, id: str) -> bool:  # noqa: A002
        """Undo `set_survivor`, whichever question of this text was chosen; return whether there was anything to undo.
        Raises InputError as it does."""
        with self._store.writing() as connection:
            return decisions.forget_choice(connection, self._form(connection, id))

    # Asking it ---------------------------------------------------------------------------------------------------

    def search(self, text: str, k: int = 5) -> tuple[Hit, ...]:
        """Return the k known texts that are most likely to ask the same, best first, duplicates or not.

        Exact: the score decides, which is the similarity or, where a guard fires, less; equal ones are in the order of
        their similarity, then in that in which they were added, and the same text comes before all others. Each
        distinct text is there once. Not found are texts with other words that the encoder does not know, and those that
        reviewers told apart from this text. A blank text finds nothing.
        """
        return self.search_many([text], k)[0]

    def search_many(self, texts: Iterable[str], k: int = 5) -> list[tuple[Hit, ...]]:
        """Return what `search` returns for each text, in less time: they are encoded and compared together."""
        texts = _checked_texts(texts)
        k = _count(k, "k")
        found = self._best(texts, k, lambda scored: k if len(scored) >= k else None)
        return [tuple(_hit(one) for one in scored[:k]) for scored in found]

    def check(self, text: str) -> Check:
        """Return whether a text is a duplicate of a known question, of which, and why."""
        _checked_texts([text])
        (found,) = self._best([text], 1, lambda scored: 1 if scored else None)
        if not found:
            return Check(text, False, None, None)
        best = _hit(found[0])
        return Check(text, best.duplicate, best, self.explain(text, best))

    def explain(self, text: str, hit: Hit) -> Explanation:
        """Return why a text is, or is not, a duplicate of what a search for it has found; nothing is encoded anew.

        The decision is that of the search, which heeds all ways in which the known text is written.
        """
        # A search finds only what has the same unknown words.
        encoder = uncached(self.detector.encoder)
        unknown = encoder.unknown_words([canonical(text)])[0] if isinstance(encoder, LimitedVocabulary) else ()
        return Explanation(
            left=text,
            right=hit.text,
            duplicate=hit.duplicate,
            similarity=hit.similarity,
            probability=hit.probability,
            threshold=self._calibration.threshold,
            **compared_words(text, hit.text),
            unknown_left=unknown,
            unknown_right=unknown,
            guards=hit.guards,
        )

    def classify(self, text: str, *, top: int = 5, outsiders: float = 0.1) -> Classification:
        """Return the class of a text: the label of the question, of those with one, that it is most likely a duplicate
        of; None, for none of these, where it is not near enough to any.

        top: how many classes are ranked. A class counts by its best question.

        outsiders: near enough is what at most this share, in (0, 1), of the texts of classes that are not there reach,
        and a duplicate of a question always (then it can be more of them). That is told from the questions themselves,
        see `dupdetect.index.classes`; it holds for classes of the same kind as those that are there. With fewer than
        1 / outsiders - 1 classes it cannot be told, and a text is near enough to what it is a duplicate of, which for
        many texts of a class is nothing: `Classification.outsiders` is None then.
        """
        return self.classify_many([text], top=top, outsiders=outsiders)[0]

    def classify_many(self, texts: Iterable[str], *, top: int = 5, outsiders: float = 0.1) -> list[Classification]:
        """Return what `classify` returns for each text, in less time: they are encoded and compared together."""
        texts = _checked_texts(texts)
        top = _count(top, "top")
        if isinstance(outsiders, bool) or not isinstance(outsiders, int | float | np.number) or not 0 < outsiders < 1:
            raise InputError(f"outsiders must be a share between 0 and 1, such as 0.1, not {outsiders!r}.")
        encoded = self._encoded(texts)
        with self._view.looking() as (connection, snapshot):
            wanted = self._view.labelled_slots(connection, snapshot)
            classes = connection.execute("SELECT count(DISTINCT label) FROM questions").fetchone()[0]
            # Where there are fewer classes, looking for so many would read every text.
            ranked = max(1, min(top, classes))
            found = best_texts(
                connection,
                snapshot,
                texts,
                encoded,
                self._calibration,
                ranked,
                lambda scored: reach_classes(scored, ranked),
                wanted,
            )
            limit = self._view.class_limit(connection, snapshot, float(outsiders))
        told = None if limit is None else float(outsiders)
        threshold = self._calibration.threshold if limit is None else min(limit, self._calibration.threshold)
        return [classification(text, scored, top, threshold, told) for text, scored in zip(texts, found, strict=True)]

    def duplicates(
        self,
        *,
        told_apart: Collection[str] = (),
        confirmed: Collection[str] = (),
        estimated_precision: float | None = None,
        progress: Progress = silent,
    ) -> Deduplication:
        """Return what `Detector.deduplicate` would say of all questions, in the order in which they were added, with
        keep="first", and what `unmerge`, `merge` and `set_survivor` remember. Nothing is encoded or compared anew.

        A merged pair has its measured similarity, which may be below the threshold, and the probability 1; a note says
        how many there are, and `run["merged"]` lists their ids.

        told_apart: more keys of pairs that a reviewer has told apart; they do not count although somebody has merged
        them.  confirmed: keys of pairs that a reviewer calls duplicates; those at or above the threshold count,
        although somebody has told them apart.  estimated_precision: as there.
        """
        with self._stored(told_apart, joined_alone=False) as stored:
            return known_duplicates(stored, self.detector, estimated_precision, progress, frozenset(confirmed)).result

    def clusters(self) -> tuple[KnownCluster, ...]:
        """Return the clusters of `duplicates`, those of two questions or more, largest first, in less time."""
        with self._stored((), joined_alone=True) as stored:
            return clusters_of(known_duplicates(stored, self.detector, None, silent))

    # Inside ------------------------------------------------------------------------------------------------------

    def _add(self, rows: Rows, progress: Progress) -> Added:
        with self._store.writing() as connection:
            added = changes.add(connection, self.folder, self.detector, rows, progress)
        changes.delete_unused_files(self._store)
        return added

    def _undo(self, verb: str, *ids: str) -> str:
        """Return the command that takes a decision back."""
        named = f"{shlex.join(ids)} --undo"
        if any(name.startswith("-") for name in ids):  # which would be taken for options
            named = f"--undo -- {shlex.join(ids)}"
        return f"dupdetect index {verb} {quoted(str(self.folder))} {named}"

    def _two_forms(self, connection: sqlite3.Connection, id_a: str, id_b: str) -> tuple[str, str]:
        first, second = self._form(connection, id_a), self._form(connection, id_b)
        if first == second:
            raise InputError(
                f"The questions {id_a!r} and {id_b!r} have the same text, which is together with itself and cannot be "
                "told apart from itself. Remove one of them, or give it another text."
            )
        return first, second

    def _form(self, connection: sqlite3.Connection, name: str) -> str:
        """Return the canonical text of a question; InputError where there is none."""
        row = connection.execute("SELECT text FROM questions WHERE id = ?", (id_of(name),)).fetchone()
        if row is None:
            raise changes.no_question(self.folder, [name])
        strings(row)
        form = canonical(row[0])
        if not form:
            raise InputError(
                f"The question {name!r} is blank: it is a duplicate of nothing, whatever is decided. Name another one."
            )
        return form

    def _best(
        self, texts: Sequence[str], k: int, enough: Callable[[Sequence[Scored]], int | None]
    ) -> list[list[Scored]]:
        """Return for each text what `best_texts` finds; nothing for blank ones."""
        encoded = self._encoded(texts)
        with self._view.looking() as (connection, snapshot):
            return best_texts(connection, snapshot, texts, encoded, self._calibration, k, enough)

    def _encoded(self, texts: Sequence[str]) -> EncodedTexts:
        return encode_texts(uncached(self.detector.encoder), DistinctTexts.of(texts), silent, self.detector.guards)

    @contextmanager
    def _stored(self, told_apart: Collection[str], *, joined_alone: bool) -> Iterator[StoredQuestions]:
        with self._view.looking() as (connection, snapshot):
            fingerprint = self.detector.encoder.fingerprint
            stored = StoredQuestions.read(
                connection, snapshot, self.folder, fingerprint, told_apart, joined_alone=joined_alone
            )
        try:
            yield stored
        except DamagedRowsError:
            raise self._store.damaged() from None


def _check_free(folder: Path) -> None:
    """Raise OutputExistsError where there is something: what an index has learned is never replaced."""
    if folder.exists() and not is_empty_folder(folder):
        raise OutputExistsError(folder, replaceable=False)


def _hit(scored: Scored) -> Hit:
    known = scored.known
    return Hit(
        id=known.id,
        text=known.text,
        label=known.label,
        questions=known.questions,
        similarity=scored.similarity,
        probability=scored.probability,
        duplicate=scored.duplicate,
        guards=scored.guards,
        same_text=scored.same_text,
    )


def _check_questions(rows: Sequence[tuple[Any, ...]]) -> None:
    """Raise DamagedRowsError for what is no id, text, label or None, and time."""
    for name, text, label, added in rows:
        strings((name, text, added) if label is None else (name, text, label, added))


def _checked_texts(texts: Iterable[str]) -> list[str]:
    """Return them as a list; InputError for what is no list of strings. What gives them one by one gives them once."""
    if isinstance(texts, str | bytes):
        raise InputError("Texts must be a list of strings, and one alone was handed in. Put it in a list.")
    found = list(texts)
    for number, item in enumerate(found, 1):
        if not isinstance(item, str):
            raise InputError(
                f"Texts must be a list of strings, and item {number} is of type {type(item).__name__}. Convert it to "
                "str."
            )
    return found


def _count(value: int, name: str) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} must be a whole number of at least 1, not {value!r}.")
    return int(value)  # numpy's may be too small for what is computed with it
