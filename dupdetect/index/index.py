"""`QuestionIndex`: known questions in a folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.atomic import atomic_folder
from dupdetect.deduplicating import deduplicated
from dupdetect.detector import Detector
from dupdetect.encoded_texts import encode_texts
from dupdetect.encoder.cache import uncached
from dupdetect.errors import ArtifactError, InputError
from dupdetect.index import changes
from dupdetect.index.manifest import DETECTOR, MANIFEST, IndexManifest, read_manifest, write_manifest
from dupdetect.index.results import (
    Added,
    Check,
    Classification,
    ClassMatch,
    ClusterMember,
    Hit,
    KnownCluster,
    KnownQuestion,
    Removed,
)
from dupdetect.index.rows import Rows, rows_of
from dupdetect.index.searching import Scored, best_texts, labelled_slots
from dupdetect.index.snapshot import Snapshot, load_snapshot
from dupdetect.index.store import IndexStore, make_store
from dupdetect.index.stored import StoredPairs, StoredTexts, form_hash
from dupdetect.keep import parse_keep
from dupdetect.progress import Progress, silent
from dupdetect.questions import Questions
from dupdetect.results import Deduplication
from dupdetect.review.candidates import pair_key
from dupdetect.tables import Source, Table
from dupdetect.text import canonical

__all__ = ["QuestionIndex"]

_TRIES = 10


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
        self._snapshot: Snapshot | None = None
        self._labelled: tuple[int, NDArray[np.bool_]] | None = None

    # Making and keeping ------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, folder: str | Path, detector: Detector | None = None) -> QuestionIndex:
        """Make an empty index in a folder that is not there yet, or empty; return it.

        detector: the shipped one by default. It is kept in the folder, with its threshold as it is now. An encoder of
        the caller's own cannot be: pass the detector to `open` then.

        Raises OutputExistsError where there is something, NotCalibratedError for a detector without a threshold.
        """
        chosen = Detector.from_pretrained() if detector is None else detector
        chosen.require_calibration()
        target = Path(folder)
        with atomic_folder(target, marker=MANIFEST) as place:
            saved: str | None = DETECTOR
            try:
                chosen.save_pretrained(place / DETECTOR)
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

        Raises what `create` raises. The new folder stands there complete, or not at all.
        """
        read_manifest(Path(source))
        store = IndexStore(Path(source))
        try:
            with store.reading() as connection:
                columns = connection.execute("SELECT id, text, label, added FROM questions ORDER BY number").fetchall()
                decisions = connection.execute("SELECT key, time FROM told_apart").fetchall()
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
                connection.executemany("INSERT INTO told_apart VALUES (?, ?)", decisions)
            index.close()
            for file in (place / "new").iterdir():
                file.rename(place / file.name)
            (place / "new").rmdir()
        return cls(target, index.detector)

    def close(self) -> None:
        """Close the files, after the changes that are being made."""
        self._store.close()
        self._snapshot = self._labelled = None

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
        with self._store.reading() as connection:
            return connection.execute("SELECT 1 FROM questions WHERE id = ?", (id,)).fetchone() is not None

    def __iter__(self) -> Iterator[KnownQuestion]:
        """The questions, in the order in which they were added."""
        with self._store.reading() as connection:
            rows = connection.execute("SELECT id, text, label, added FROM questions ORDER BY number").fetchall()
        return (KnownQuestion(*row) for row in rows)

    def __getitem__(self, id: str) -> KnownQuestion:  # noqa: A002
        """Return a question by its id; InputError where there is none."""
        with self._store.reading() as connection:
            row = connection.execute("SELECT id, text, label, added FROM questions WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise changes.no_question(self.folder, [id])
        return KnownQuestion(*row)

    @property
    def version(self) -> int:
        """A number that rises with each change: what was found in one version holds while it is the same."""
        with self._store.reading() as connection:
            return int(connection.execute("SELECT version FROM state").fetchone()[0])

    @property
    def counts(self) -> dict[str, int]:
        """How the questions add up: questions = blank + texts + repeats.

        pairs: of texts at or above the threshold, guards and reviewers aside.  told_apart: pairs of texts that
        reviewers told apart, whether they are there at present or not.
        """
        with self._store.reading() as connection:
            questions, blank, labelled, classes, texts, pairs, apart = (
                connection.execute(f"SELECT {what}").fetchone()[0]
                for what in (
                    "count(*) FROM questions",
                    "count(*) FROM questions WHERE form IS NULL",
                    "count(label) FROM questions",
                    "count(DISTINCT label) FROM questions",
                    "count(*) FROM forms",
                    "count(*) FROM pairs",
                    "count(*) FROM told_apart",
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

        Their texts are deleted, and found no more. The vector of a text stays in the file until as many are unused as
        are used; then a file without them takes its place.
        """
        if isinstance(ids, str):
            raise InputError(f"ids must be a list of ids, not {ids!r}. Put it in a list.")
        with self._store.writing() as connection:
            removed = changes.remove(connection, self.folder, list(dict.fromkeys(ids)))
            changes.compact(connection, self.folder, self._dimension)
        changes.delete_unused_files(self._store)
        return removed

    def unmerge(self, id_a: str, id_b: str) -> None:
        """Remember that two questions are no duplicates: the pair never counts again, whatever its similarity.

        It is remembered by the canonical texts, and so holds for all questions with these texts, and after they were
        removed and added again. Both can still be duplicates of a third one, and so be in one cluster.

        Raises InputError for an id that is not there, and for two questions with the same text.
        """
        with self._store.writing() as connection:
            changes.tell_apart(connection, self._key_of(connection, id_a, id_b))

    def forget(self, id_a: str, id_b: str) -> bool:
        """Undo `unmerge`; return whether there was anything to undo. Raises InputError as it does."""
        with self._store.writing() as connection:
            key = self._key_of(connection, id_a, id_b)
            return connection.execute("DELETE FROM told_apart WHERE key = ?", (key,)).rowcount > 0

    # Asking it ---------------------------------------------------------------------------------------------------

    def search(self, text: str, k: int = 5) -> tuple[Hit, ...]:
        """Return the k known texts that are most likely to ask the same, best first, duplicates or not.

        Exact: the score decides, which is the similarity or, where a guard fires, less; equal ones are in the order of
        their similarity, then in that in which they were added, and the same text comes before all others. Each
        distinct text is there once. Not found are texts with other words that the encoder does not know, and those that
        reviewers told apart from this text. A blank text finds nothing.
        """
        return self.search_many([text], k)[0]

    def search_many(self, texts: Sequence[str], k: int = 5) -> list[tuple[Hit, ...]]:
        """Return what `search` returns for each text, in less time: they are encoded and compared together."""
        _check_texts(texts)
        _check_count(k, "k")
        found = self._best(texts, k, lambda scored: k if len(scored) >= k else None, labelled=False)
        return [tuple(_hit(one) for one in scored[:k]) for scored in found]

    def check(self, text: str) -> Check:
        """Return whether a text is a duplicate of a known question, of which, and why."""
        _check_texts([text])
        (found,) = self._best([text], 1, lambda scored: 1 if scored else None, labelled=False)
        if not found:
            return Check(text, False, None, None)
        return Check(text, found[0].duplicate, _hit(found[0]), self.detector.explain(text, found[0].known.text))

    def classify(self, text: str, *, top: int = 5) -> Classification:
        """Return the class of a text: the label of the question, of those with one, that it is most likely a duplicate
        of; None where it is a duplicate of none.

        top: how many classes are ranked. A class counts by its best question.
        """
        return self.classify_many([text], top=top)[0]

    def classify_many(self, texts: Sequence[str], *, top: int = 5) -> list[Classification]:
        """Return what `classify` returns for each text, in less time: they are encoded and compared together."""
        _check_texts(texts)
        _check_count(top, "top")
        # Where there are fewer classes, looking for so many would read every text.
        ranked = max(1, min(top, self.counts["classes"]))
        found = self._best(texts, ranked, lambda scored: _reach_classes(scored, ranked), labelled=True)
        return [_classification(text, scored, top) for text, scored in zip(texts, found, strict=True)]

    def duplicates(
        self,
        *,
        told_apart: Collection[str] = (),
        estimated_precision: float | None = None,
        progress: Progress = silent,
    ) -> Deduplication:
        """Return what `Detector.deduplicate` would say of all questions, in the order in which they were added, with
        keep="first", and what `unmerge` remembers. Nothing is encoded or compared anew.

        told_apart: more keys of pairs that a reviewer has told apart.  estimated_precision: as there.
        """
        return self._deduplicated(told_apart, estimated_precision, progress, joined_alone=False)

    def clusters(self) -> tuple[KnownCluster, ...]:
        """Return the clusters of `duplicates`, those of two questions or more, largest first, in less time."""
        result = self._deduplicated((), None, silent, joined_alone=True)
        labels = result.questions.table.column("label")
        found = []
        for cluster in result.clusters:
            members = []
            for row in cluster.rows:
                survivor = int(result.duplicate_of[row])
                stays = survivor < 0
                members.append(
                    ClusterMember(
                        id=result.questions.ids[row],
                        text=result.questions.texts[row],
                        label=labels[row] or None,
                        duplicate_of=None if stays else result.questions.ids[survivor],
                        similarity=None if stays else float(result.similarity[row]),
                        probability=None if stays else float(result.probability[row]),
                    )
                )
            found.append(KnownCluster(form_hash(canonical(members[0].text)).hex(), tuple(members)))
        return tuple(found)

    # Inside ------------------------------------------------------------------------------------------------------

    @property
    def _dimension(self) -> int:
        return int(self.detector.encoder.dimension)

    def _add(self, rows: Rows, progress: Progress) -> Added:
        with self._store.writing() as connection:
            added = changes.add(connection, self.folder, self.detector, rows, progress)
        changes.delete_unused_files(self._store)
        return added

    def _key_of(self, connection: sqlite3.Connection, id_a: str, id_b: str) -> str:
        forms = []
        for name in (id_a, id_b):
            row = connection.execute("SELECT text FROM questions WHERE id = ?", (name,)).fetchone()
            if row is None:
                raise changes.no_question(self.folder, [name])
            forms.append(canonical(row[0]))
        if forms[0] == forms[1]:
            raise InputError(
                f"The questions {id_a!r} and {id_b!r} have the same text, which cannot be told apart from itself. "
                "Remove one of them, or give it another text."
            )
        return pair_key(*forms)

    def _best(
        self, texts: Sequence[str], k: int, enough: Callable[[Sequence[Scored]], int | None], *, labelled: bool
    ) -> list[list[Scored]]:
        """Return for each text what `best_texts` finds; nothing for blank ones."""
        encoded = encode_texts(uncached(self.detector.encoder), texts, silent, self.detector.guards)
        with self._looking() as (connection, snapshot):
            wanted = self._labelled_slots(connection, snapshot) if labelled else None
            return best_texts(connection, snapshot, texts, encoded, self._calibration, k, enough, wanted)

    @contextmanager
    def _looking(self) -> Iterator[tuple[sqlite3.Connection, Snapshot]]:
        """One transaction, and the vectors that go with it."""
        for tries in range(_TRIES):
            with self._store.reading() as connection:
                try:
                    snapshot = self._current(connection)
                except FileNotFoundError:
                    # A writer has put another file in its place since the transaction began.
                    if tries + 1 < _TRIES:
                        continue
                    raise ArtifactError(
                        f"The index {self.folder} lacks its file of vectors. Copy the whole folder again."
                    ) from None
                yield connection, snapshot
                return

    def _current(self, connection: sqlite3.Connection) -> Snapshot:
        version = connection.execute("SELECT version FROM state").fetchone()[0]
        known = self._snapshot
        if known is None or known.version != version:
            known = self._snapshot = load_snapshot(connection, self.folder, self._dimension)
        return known

    def _labelled_slots(self, connection: sqlite3.Connection, snapshot: Snapshot) -> NDArray[np.bool_]:
        known = self._labelled
        if known is None or known[0] != snapshot.version:
            known = self._labelled = (snapshot.version, labelled_slots(connection, len(snapshot.vectors)))
        return known[1]

    def _deduplicated(
        self,
        told_apart: Collection[str],
        estimated_precision: float | None,
        progress: Progress,
        *,
        joined_alone: bool,
    ) -> Deduplication:
        """Return the duplicates among all questions or, which are the same, among those that are like another."""
        where = (
            "WHERE form IN (SELECT smaller FROM pairs UNION SELECT larger FROM pairs "
            "UNION SELECT form FROM questions GROUP BY form HAVING count(*) > 1) AND form IS NOT NULL "
        )
        with self._looking() as (connection, snapshot):
            rows = connection.execute(
                f"SELECT id, text, coalesce(label, '') FROM questions {where if joined_alone else ''}ORDER BY number"  # noqa: S608
            ).fetchall()
            texts = StoredTexts(connection, snapshot.vectors.rows, self.detector.encoder.fingerprint)
            pairs = StoredPairs(connection)
        table = Table(("id", "text", "label"), tuple(rows), Source(str(self.folder), "index"))
        asked = Questions(
            tuple(text for _, text, _ in rows), tuple(name for name, _, _ in rows), table, ("text",), "id"
        )
        result = deduplicated(
            asked,
            texts,
            self._calibration,
            self.detector.guards,
            parse_keep("first"),
            model=self.detector.name,
            search="exact",
            work=None,
            told_apart=snapshot.told_apart.union(told_apart),
            without_boilerplate=False,
            estimated_precision=estimated_precision,
            progress=progress,
            find=pairs.of,
        )
        count = result.run["encoded_texts"]
        return replace(result, run={**result.run, "encoded_texts": 0, "cached_texts": count})


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


def _reach_classes(scored: Sequence[Scored], top: int) -> int | None:
    """Return how many of the best have `top` classes among them; None where all have not."""
    seen: set[str | None] = set()
    for count, one in enumerate(scored, 1):
        seen.add(one.known.label)
        if len(seen) == top:
            return count
    return None


def _classification(text: str, scored: Sequence[Scored], top: int) -> Classification:
    best: dict[str, ClassMatch] = {}
    for one in scored:
        label = str(one.known.label)
        if label not in best and len(best) < top:
            known = one.known
            best[label] = ClassMatch(
                label, known.id, known.text, one.similarity, one.probability, one.duplicate, one.guards
            )
    ranking = tuple(best.values())
    if not ranking:
        return Classification(text, None, 0.0, ())
    return Classification(text, ranking[0].label if ranking[0].duplicate else None, ranking[0].probability, ranking)


def _check_texts(texts: Sequence[str]) -> None:
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise InputError(f"Texts must be a list of strings, not {texts!r}.")


def _check_count(value: int, name: str) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} must be a whole number of at least 1, not {value!r}.")
