"""The detector: an encoder, and the calibration that turns its similarities into decisions."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dupdetect import hub
from dupdetect.artifacts import (
    EVIDENCE,
    MANIFEST,
    MODEL_CARD,
    Manifest,
    encoder_fingerprint,
    write_arrays,
    write_manifest,
    written_files,
)
from dupdetect.atomic import atomic_folder
from dupdetect.calibration import Calibration, Criterion, EstimatedPrecision, MaxF1, cap_where
from dupdetect.compared_pairs import ComparedPairs, Pairs, compare
from dupdetect.deduplicating import deduplicated
from dupdetect.encoder import Encoder
from dupdetect.encoder.cache import CachedEncoder, uncached
from dupdetect.encoder.devices import calibrated_as, device_of
from dupdetect.encoder.load import save_encoder
from dupdetect.encoder.onnx import OnnxEncoder
from dupdetect.encoder.static import StaticEncoder
from dupdetect.engines import Engine, LocalEngine, engine_of
from dupdetect.engines.device import DeviceEngine
from dupdetect.errors import CalibrationError, EmptyInputError, InputError, NotCalibratedError
from dupdetect.graph import connected_components
from dupdetect.guards import GUARDS, Guards
from dupdetect.keep import check_keep, parse_keep
from dupdetect.loading import loaded
from dupdetect.matching import matched
from dupdetect.model_card import model_card
from dupdetect.pairs import QuestionPairs, labelled
from dupdetect.progress import Progress, silent
from dupdetect.questions import questions as as_questions
from dupdetect.results import Decisions, Deduplication, Explanation, Matches
from dupdetect.results.pair_decisions import compared_words
from dupdetect.shipped import SHIPPED

__all__ = ["Detector"]

# What the shipped encoders were made from, and under what licence.
SHIPPED_FROM = {"base_model": "sentence-transformers/all-MiniLM-L6-v2", "license": "apache-2.0"}


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """Decides which texts ask the same thing: cosine similarity at or above a calibrated threshold, and no guard that
    says otherwise (`dupdetect.guards`; None for no guards).

    Immutable: `at`, `cached` and `calibrate` return new detectors. Texts are compared in their canonical form
    (`dupdetect.text`), each distinct one is encoded once, and a blank text is never a duplicate of anything. Nor are
    two texts duplicates that hold different words which the encoder does not know (`dupdetect.encoded_texts`).

    Whatever needs a threshold or a probability raises NotCalibratedError where there is no calibration.
    """

    encoder: Encoder
    calibration: Calibration | None = None
    name: str = "unnamed"
    guards: Guards | None = None
    loaded_from: str | None = None
    """The folder or the name on the hub that it was loaded from; None for a shipped one, and for one made here."""

    def __post_init__(self) -> None:
        if self.calibration is not None:
            own = self.calibration.encoder == self.encoder.fingerprint
            self.calibration.check_encoder(self.encoder.fingerprint if own else calibrated_as(self.encoder))

    # Making and keeping ------------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path | None = None,
        *,
        tier: Literal["default", "fast"] = "default",
        device: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> Detector:
        """Load a detector: the shipped one by default, else a folder that `save_pretrained` wrote.

        tier: which of the shipped ones; "fast" sums vectors of tokens, and is calibrated for itself.
        A name that is no folder is looked up on the Hugging Face hub (needs the extra `hub`): a detector that
        `push_to_hub` sent there, or that is in the hub's cache on this machine. A sentence-transformers folder or hub
        name gives a detector without calibration (needs the extra `train`).
        revision, local_files_only: for the hub.
        device: "cuda" (or "cuda:1") for a graphics card, where torch then encodes and compares (needs the extra
        `train`); the processor by default. Of given vectors the card finds exactly the same pairs. Its vectors differ
        a little from those of the processor, in which the threshold was fitted: `dupdetect.encoder.on_device` says by
        how much, and what follows. Such a detector cannot be saved.

        Raises ArtifactError for a folder that is missing, damaged or too new, EncoderMismatchError when its encoder is
        not the one that its calibration was fitted with, MissingExtraError where an extra is needed and not there,
        InputError for a device that is not there.
        """
        return cls(
            *loaded(name_or_path, tier=tier, device=device, revision=revision, local_files_only=local_files_only)
        )

    @classmethod
    def calibrate(
        cls,
        encoder: Encoder,
        pairs: QuestionPairs,
        *,
        criterion: Criterion | None = None,
        groups: NDArray[np.int64] | None = None,
        data: str = "",
        name: str = "unnamed",
        guards: bool = True,
        progress: Progress = silent,
    ) -> Detector:
        """Return a detector whose threshold meets `criterion` (MaxF1 by default) on these held-out labelled pairs.

        groups: (n,) which pairs share questions, directly or through others; found from the pairs when not given.
        data: a few words on where the pairs come from, kept with the threshold.
        guards: whether to heed them; how far they lower a score is fitted on the same pairs (`calibration.cap`).

        Pairs that `decide` never accepts, whatever the similarity, are accepted at no threshold here either: duplicates
        among them count as missed.

        Raises EmptyInputError for no pairs, CalibrationError for too few labels, UnreachableCriterionError when no
        threshold meets the criterion.
        """
        if not len(labelled(pairs)):
            dropped = ", ".join(f"{n:,} {why.replace('_', ' ')}" for why, n in pairs.dropped.to_dict().items() if n)
            left_out = f" (left out: {dropped})" if dropped else ""
            raise EmptyInputError(
                f"There are no labelled pairs to calibrate on{left_out}. Hand in pairs of two texts, each with a label."
            )
        compared = compare(encoder, pairs, progress)
        groups = _question_groups(pairs) if groups is None else groups
        heeded = None
        if guards:
            some = compared.comparable
            fired: NDArray[np.bool_] = np.logical_or.reduce(compared.fired, axis=1)
            heeded = Guards(cap_where(compared.similarity[some], pairs.labels[some], fired[some], groups[some]))
        calibration = Calibration.fit(
            compared.scored_by(heeded),
            pairs.labels,
            encoder=encoder.fingerprint,
            criterion=criterion or MaxF1(),
            groups=groups,
            data=data,
        )
        return cls(encoder, calibration, name, heeded)

    def save_pretrained(self, folder: str | Path, *, overwrite: bool = False, model_card: str | None = None) -> Path:
        """Write the detector to a folder that `from_pretrained` reads; return the folder. A cache is no part of it.

        Raises OutputExistsError when it exists and `overwrite` is not set, InputError where nothing can be written;
        CalibrationError for a threshold that was chosen for the pairs of one file, ArtifactError for an encoder of the
        caller's own.
        """
        target = Path(folder)
        if self.calibration is not None and isinstance(self.calibration.criterion, EstimatedPrecision):
            raise CalibrationError(
                f"The threshold {self.calibration.threshold:.4f} was chosen for the pairs of one file "
                f"({self.calibration.criterion}), and promises nothing for others. To keep it all the same, save "
                f"detector.at(threshold={self.calibration.threshold!r})."
            )
        with atomic_folder(target, overwrite=overwrite, expected=written_files(target), marker=MANIFEST) as place:
            encoder = save_encoder(uncached(self.encoder), place)
            calibration = None
            if self.calibration is not None:
                calibration = self.calibration.to_dict()
                write_arrays(place / EVIDENCE, self.calibration.evidence())
            (place / MODEL_CARD).write_text(model_card or self._model_card("FOLDER"), encoding="utf-8")
            guards = None if self.guards is None else self.guards.to_dict()
            write_manifest(place, Manifest(encoder, calibration, self.name, guards))
        return target

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = False,
        revision: str | None = None,
        token: str | None = None,
        commit_message: str = "Add a dupdetect detector",
    ) -> str:
        """Send what `save_pretrained` writes to a model repository on the Hugging Face hub; return the commit's URL.

        The repository `repo_id` (OWNER/NAME) is made if it is not there. What an earlier detector wrote in it is
        replaced, its model card too; the hub keeps the earlier commits. Needs the extra `hub`.
        private: nobody else may see a repository that is made now; otherwise its owner's settings decide.
        revision: a branch, made if it is not there, from the main one; that one unless given.
        token: that of the login (hf auth login) unless given.

        Raises InputError for a repository that holds something else, or is public although `private`; ArtifactError
        when the hub refuses or cannot be reached, or the encoder cannot be saved; MissingExtraError.
        """
        with TemporaryDirectory() as place:
            folder = self.save_pretrained(Path(place) / "detector", model_card=self._model_card(repo_id))
            return hub.upload(
                folder, repo_id, private=private, revision=revision, token=token, commit_message=commit_message
            )

    def at(
        self,
        *,
        min_precision: float | None = None,
        min_recall: float | None = None,
        prevalence: float | None = None,
        threshold: float | None = None,
        confidence: float | None = None,
    ) -> Detector:
        """Return a detector with another operating point, chosen on the same held-out evidence.

        min_precision: the lowest threshold whose precision is certified to be at least this, with `confidence` (0.95
        unless given).
        min_recall: the highest threshold whose recall is at least this.  threshold: this cosine, as it is.
        prevalence: the share of duplicates, in (0, 1), among the pairs that decisions will be made on.

        Raises UnreachableCriterionError when the evidence does not carry what is asked, InputError for two at once
        and for a confidence without min_precision; CalibrationError for what this evidence cannot answer, such as
        another certificate from the labels of a review.
        """
        calibration = self.require_calibration().at(
            min_precision=min_precision,
            min_recall=min_recall,
            prevalence=prevalence,
            threshold=threshold,
            confidence=confidence,
        )
        return replace(self, calibration=calibration)

    def cached(self, path: str | Path) -> Detector:
        """Return a detector that decides the same, and encodes only texts whose vectors are not in the file `path`.

        The file is made if it is not there, and grows. Several detectors and processes may use it at once.
        `dupdetect.encoder.cache` says what it holds, and when a vector is taken from it.

        Raises ArtifactError for a file that is something else, damaged, of a newer format, or cannot be made.
        """
        return replace(self, encoder=CachedEncoder(uncached(self.encoder), path))

    # Pairs -------------------------------------------------------------------------------------------------------

    def similarity(self, pairs: Pairs, *, progress: Progress = silent) -> NDArray[np.float32]:
        """Return (n,) float32, the cosine similarity in [-1, 1] of each pair of texts.

        1 for equal canonical texts, by definition; 0 where a text is blank. Symmetric, and the same for a pair whatever
        else is in the call.
        """
        return compare(self.encoder, pairs, progress).similarity

    def decide(self, pairs: Pairs, *, progress: Progress = silent) -> Decisions:
        """Return similarity, probability and decision of each pair, encoding each text once.

        The probability rises with the similarity; it is 1 for equal canonical texts, 0 where a text is blank or the
        two hold different words that the encoder does not know, and low where a guard fires. All are the same for a
        pair whatever else is in the call.
        """
        self.require_calibration()
        return self._decide(compare(self.encoder, pairs, progress, self.guards))

    def predict_proba(self, pairs: Pairs) -> NDArray[np.float64]:
        """Return (n, 2) calibrated probabilities, [distinct, duplicate]; each row sums to 1. See `decide`."""
        duplicate = self.decide(pairs).probability
        return np.column_stack([1.0 - duplicate, duplicate])

    def predict(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Return (n,) bool: is the similarity at or above the threshold, and nothing against it? See `decide`."""
        return self.decide(pairs).duplicate

    def explain(self, a: str, b: str) -> Explanation:
        """Return why these two texts are, or are not, taken for duplicates."""
        threshold = self.require_calibration().threshold
        compared = compare(self.encoder, [(a, b)], silent, self.guards)
        decisions = self._decide(compared)
        unknown_left, unknown_right = compared.unknown_words(0)
        return Explanation(
            left=a,
            right=b,
            duplicate=bool(decisions.duplicate[0]),
            similarity=float(decisions.similarity[0]),
            probability=float(decisions.probability[0]),
            threshold=threshold,
            **compared_words(a, b),
            unknown_left=unknown_left,
            unknown_right=unknown_right,
            guards=decisions.guards[0],
            blank=bool(compared.blank[0]),
        )

    # Collections -------------------------------------------------------------------------------------------------

    def deduplicate(
        self,
        questions: Any,
        *,
        keep: str = "first",
        text: str | Sequence[str] | None = None,
        id: str | None = None,  # noqa: A002 - the contract's name
        search: Literal["exact", "ann"] = "exact",
        work: str | Path | None = None,
        told_apart: Collection[str] = (),
        confirmed: Collection[str] = (),
        without_boilerplate: bool = True,
        estimated_precision: float | None = None,
        engine: str | Engine = "local",
        progress: Progress = silent,
    ) -> Deduplication:
        """Find the duplicates among questions, and for each row to remove the row that stays for it.

        questions: a list of texts, `Questions`, or any data frame / Arrow table / datasets.Dataset / ray.data.Dataset
        with `text` (one column or several, joined) and optionally `id`.
        keep: which row of several stays: first, last, longest, medoid, max:COLUMN or min:COLUMN.
        work: a folder for what is finished of the comparison; after an interruption a call with the same questions and
        the same folder goes on from there. It is the caller's to delete.
        told_apart: keys (`Candidates.key`) of pairs that a reviewer has told apart; they do not count, although both
        can match a third text.
        confirmed: likewise, of pairs that a reviewer calls duplicates. Of those that reach the threshold of this
        detector they all count, whatever guards say and whatever `estimated_precision` asks for, with the probability 1
        and their measured similarity; a note says how many.
        without_boilerplate: compare two texts with the same last sentences and lines by what stands before these, as
        far as they stand in at least 20 different texts and in 2 % of them: signatures, say (`dupdetect.boilerplate`).
        All other pairs are compared as wholes, and so are all where this is False or the search is approximate. A note
        says whether there are such texts.
        estimated_precision: take for duplicates the most similar pairs only, so many that this share of them, in
        (0, 1), are duplicates by their probabilities, and list the others at or above the threshold as `possible`; so
        are pairs with a text that the encoder does not read to its end. None for all that reach the threshold. The
        command line asks for 0.95, unless the threshold was chosen for a precision or a recall, or by hand.
        engine: "local" works with the cores of this machine, "ray" with a Ray cluster, which is started on this machine
        alone unless the caller has called `ray.init` (needs the extra `cluster`); `dupdetect.engines.RayEngine` says
        what else there is to choose. The result is the same.

        search: "exact" finds every pair at or above the threshold, unless the two differ in words that the encoder does
        not know (a note counts the rows with such words). "ann" finds most of them, for collections so large that exact
        takes hours; the `certificate` of the result says how many. It needs the extra `ann`.

        The threshold was chosen on labelled pairs; among *all* pairs of a collection duplicates are far rarer, so
        expect a lower precision here than the calibration states.

        Of more than 10 million pairs of texts only those of a removed row and one that stays are listed, and a note
        says so; what stays and what is a cluster is as if all were. `keep="medoid"`, which needs them all, is an
        InputError then. An approximate search lists up to 20 for each text if that is more, and is an InputError
        beyond. Where an `estimated_precision` is asked for, so many pairs count, first of all, only from the cosine on
        at which each of them is a duplicate with that probability, and `possible_pairs` says so.
        """
        if search not in ("exact", "ann"):
            raise InputError(f"There is no search={search!r}: it is 'exact' or 'ann'.")
        if estimated_precision is not None:
            EstimatedPrecision(estimated_precision)  # refused before anything is encoded
        policy = parse_keep(keep)
        chosen = _engine(engine, device_of(self.encoder))
        asked = as_questions(questions, text=text, id=id)
        check_keep(policy, asked)
        calibration = self.require_calibration()
        with chosen:
            return deduplicated(
                asked,
                self.encoder,
                calibration,
                self.guards,
                policy,
                model=self.name,
                model_from=self.loaded_from,
                search=search,
                work=None if work is None else Path(work),
                told_apart=frozenset(told_apart),
                confirmed=frozenset(confirmed),
                without_boilerplate=without_boilerplate,
                estimated_precision=estimated_precision,
                engine=chosen,
                progress=progress,
            )

    def match(
        self,
        queries: Any,
        corpus: Any,
        *,
        top_k: int = 5,
        text: str | Sequence[str] | None = None,
        id: str | None = None,  # noqa: A002
        corpus_text: str | Sequence[str] | None = None,
        corpus_id: str | None = None,
        progress: Progress = silent,
    ) -> Matches:
        """Find for each query the known questions that ask the same; None where none reaches the threshold.

        queries, corpus: as the questions of `deduplicate`; `text`, `id`, `corpus_text`, `corpus_id` name their columns.
        A text that stands in the corpus several times is matched once, as the first of its rows. As in `deduplicate`,
        words that the encoder does not know must be the same on both sides; the notes count what has any. The matches
        of a query are the same whatever else is asked.
        top_k: at most so many for each query, best first; the same text comes before all others, and what a guard fires
        for is not among them unless the threshold is very low.
        """
        asked = as_questions(queries, text=text, id=id)
        known = as_questions(corpus, text=corpus_text, id=corpus_id)
        calibration = self.require_calibration()
        if not isinstance(top_k, int | np.integer) or isinstance(top_k, bool) or top_k < 1:
            raise InputError(f"top_k must be a whole number of at least 1, not {top_k!r}.")
        return matched(
            asked,
            known,
            self.encoder,
            calibration,
            self.guards,
            top_k=int(top_k),
            device=device_of(self.encoder),
            progress=progress,
        )

    # Inside ------------------------------------------------------------------------------------------------------

    def require_calibration(self) -> Calibration:
        """Return the calibration; NotCalibratedError where there is none."""
        if self.calibration is None:
            raise NotCalibratedError(
                "This model has no calibration, so it has no threshold to decide with. Fit one on labelled pairs that "
                "the encoder was not trained on: dupdetect calibrate MODEL PAIRS.csv -o FOLDER"
            )
        return self.calibration

    def _decide(self, pairs: ComparedPairs) -> Decisions:
        calibration = self.require_calibration()
        fired = pairs.fired if self.guards is not None else np.zeros((len(pairs.left), len(GUARDS)), dtype=np.bool_)
        return Decisions(
            similarity=pairs.similarity,
            probability=np.where(pairs.same_text, 1.0, calibration.probability(pairs.score)),
            duplicate=calibration.accepts(pairs.score),
            guards=tuple(
                _UNKNOWN if unlike else tuple(itertools.compress(GUARDS, row))
                for row, unlike in zip(fired.tolist(), pairs.unlike.tolist(), strict=True)
            ),
            notes=pairs.notes(),
        )

    def _model_card(self, load_from: str) -> str:
        shipped = {*map(encoder_fingerprint, SHIPPED.values())}
        known = SHIPPED_FROM if self.encoder.fingerprint in shipped else {}
        modules = isinstance(uncached(self.encoder), OnnxEncoder | StaticEncoder)
        return model_card(self.name, self.calibration, load_from=load_from, modules=modules, **known)


_UNKNOWN = ("unknown words",)


def _engine(engine: str | Engine, device: str) -> Engine:
    """Return where to work: as asked, and with a detector on a graphics card, there."""
    chosen = engine_of(engine)
    if device == "cpu":
        return chosen
    return DeviceEngine(device) if isinstance(chosen, LocalEngine) else chosen


def _question_groups(pairs: QuestionPairs) -> NDArray[np.int64]:
    """Return (n,): equal for pairs that share questions, directly or through others."""
    nodes = pairs.nodes()
    groups: NDArray[np.int64] = connected_components(len(nodes.texts), nodes.left, nodes.right)[nodes.left]
    return groups
