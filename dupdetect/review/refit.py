"""A calibration from the labels of a review: for this export, and where asked for, certified on it.

A labelled pair weighs the number of pairs in its band over the labels in it. The evidence of a `Calibration` knows no
weights, so a pair stands in it several times, in a group of its own: the lightest `_FINEST` times, and all in
proportion to their weights, but together about `_ROWS` times at most. Rounding to whole rows moves the weight of a pair
by at most one part in 2 x `_FINEST`, unless the weights differ so much that the lightest pairs stand there fewer times
than that: then by half a row of all `_ROWS`, and by less than a row where a pair would not stand there at all.
Certificates do not depend on this: they are worked out from the weights (`dupdetect.review.certified`).

"unsure" counts as "different": what cannot be told is no duplicate that a certificate may count. Recall is then among
the pairs that a reviewer is sure of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dupdetect.calibration import Calibration, Criterion, MaxF1, MinPrecision, criterion_to_dict
from dupdetect.calibration.calibration import MINIMUM_OF_EACH_KIND
from dupdetect.errors import CalibrationError
from dupdetect.frozen import Frozen
from dupdetect.guards import Guards
from dupdetect.review.candidates import Candidates
from dupdetect.review.certified import certified_threshold

__all__ = ["Reviewed", "certificate", "refit", "require_enough"]

_FINEST, _ROWS = 10, 20_000
_CERTIFIED = MinPrecision(0.95)


@dataclass(frozen=True, slots=True, eq=False)
class Reviewed(Frozen):
    """The n labelled pairs of an export, of all that were drawn for review.

    Labels of an earlier draw can leave gaps. Of each band only the pairs before its first one without a label count,
    since these were drawn at random whatever was labelled before.

    score: (n,) float32 in [-1, 1], and -inf where it is below `floor`.  label: (n,) bool, duplicates.  weight: (n,)
    float64, how many pairs of the export each stands for.  unsure: how many are labelled that.  elsewhere: labels of
    pairs that were not drawn here, or stand behind a gap, and are left out.  drawn: how many pairs there are to label.
    countable: how many of these can count for a certificate.
    floor: the score from which every pair of the export had a chance to be drawn. Guards may lower a score beyond it,
    and no threshold accepts those pairs alone.  counted_from: at least that, the score from which all pairs of the
    export were looked at; below it nothing can be certified (`dupdetect.review.candidates`).
    """

    score: NDArray[np.float32]
    label: NDArray[np.bool_]
    weight: NDArray[np.float64]
    unsure: int
    elsewhere: int
    drawn: int
    countable: int
    floor: float
    counted_from: float

    @classmethod
    def of(cls, candidates: Candidates, labels: Mapping[str, str], guards: Guards | None) -> Reviewed:
        """Return the labelled ones of the candidates.

        labels: "duplicate", "different" or "unsure" by key.  guards: those of the detector that drew the candidates.

        Raises CalibrationError where a band has no label: nothing is known of its pairs then.
        """
        rows = _in_turn(candidates, labels)
        verdict = [labels[candidates.key[row]] for row in rows.tolist()]
        band = candidates.band[rows]
        missing = sorted(set(candidates.band.tolist()) - set(band.tolist()))
        if missing:
            raise CalibrationError(
                f"No pair is labelled of {len(missing)} of the {len(np.unique(candidates.band))} bands of similarity "
                "that pairs were drawn from. Review on, all pairs and not only possible ones: the bands take turns. "
                "Where reviewers disagree, settle that."
            )
        score = candidates.score
        # A guard gives many pairs this very score, whatever their cosine.
        lowered = np.zeros(len(score), np.bool_) if guards is None else score == np.float32(guards.cap)
        floor = float(score[~lowered].min(initial=1.0))
        counted = candidates.counted
        counted_from = floor if counted.all() else float(score[~lowered & counted].min(initial=np.inf))
        return cls(
            score=np.where(score[rows] < floor, np.float32(-np.inf), score[rows]),
            label=np.array([given == "duplicate" for given in verdict], dtype=np.bool_),
            weight=candidates.band_pairs[rows] / np.bincount(band, minlength=1)[band],
            unsure=verdict.count("unsure"),
            elsewhere=len(labels) - len(rows),
            drawn=len(candidates),
            countable=int((score >= counted_from).sum()),
            floor=floor,
            counted_from=counted_from,
        )

    def __len__(self) -> int:
        return len(self.label)

    @property
    def counted(self) -> NDArray[np.bool_]:
        """(n,) bool: the labelled pairs that count for a certificate."""
        return self.score >= self.counted_from

    @property
    def repeats(self) -> NDArray[np.int64]:
        """(n,) int64, at least 1: how many times each stands in the evidence."""
        scale = min(_FINEST / self.weight.min(), _ROWS / self.weight.sum())
        whole: NDArray[np.int64] = np.maximum(1, np.rint(self.weight * scale)).astype(np.int64)
        return whole

    def recall(self, threshold: float) -> float:
        """Return the estimated share of the duplicates among all pairs drawn from that the threshold accepts."""
        found = self.label & (self.score >= threshold)
        return float(self.weight[found].sum() / self.weight[self.label].sum())


def _in_turn(candidates: Candidates, labels: Mapping[str, str]) -> NDArray[np.int64]:
    """Return the rows of the candidates that are labelled, as are all before them in their band."""
    gap: set[int] = set()
    rows = []
    for row, (key, band) in enumerate(zip(candidates.key, candidates.band.tolist(), strict=True)):
        if key not in labels:
            gap.add(band)
        elif band not in gap:
            rows.append(row)
    return np.array(rows, dtype=np.int64)


def require_enough(reviewed: Reviewed) -> None:
    """Raise CalibrationError, which counts, where there are fewer than 20 labels of a kind that a threshold accepts."""
    can_be_accepted = np.isfinite(reviewed.score)
    duplicates = int((reviewed.label & can_be_accepted).sum())
    others = int((~reviewed.label & can_be_accepted).sum())
    lacking = [
        f"{MINIMUM_OF_EACH_KIND - count} more {kind}"
        for kind, count in (("duplicates", duplicates), ("different pairs", others))
        if count < MINIMUM_OF_EACH_KIND
    ]
    if lacking:
        raise CalibrationError(
            f"Too few labels to calibrate: {duplicates} duplicates and {others} different pairs (unsure ones among "
            f"them), and at least {MINIMUM_OF_EACH_KIND} of each are needed, so {' and '.join(lacking)}. "
            + (
                "Review on."
                if len(reviewed) < reviewed.drawn
                else "All that were drawn are labelled: review a larger export, or go on with the detector as it is."
            )
        )


def refit(
    reviewed: Reviewed, *, encoder: str, source: str, criterion: Criterion = _CERTIFIED, request: int = 1
) -> Calibration:
    """Return the calibration that the labels of a review give.

    encoder: the fingerprint of the encoder that the scores come from.  source: the name of the export.
    criterion: by default the lowest threshold with a certified precision of 0.95 among all pairs of the export.
    request: which request for a certificate on these labels this is, from 1 (`dupdetect.review.certified`).

    Raises CalibrationError for fewer than 20 labels of a kind, UnreachableCriterionError when no threshold meets the
    criterion; both count in labels.
    """
    require_enough(reviewed)
    threshold = None
    if isinstance(criterion, MinPrecision):
        counted = reviewed.counted
        if not counted.any():
            raise CalibrationError(
                "No labelled pair reaches the threshold of the detector that drew them, and below it so large an "
                "export was looked at in part only, which certifies nothing. Run `dupdetect dedupe` with a lower "
                "threshold and review that, or ask for a recall (min_recall=0.9), for which nothing is certified."
            )
        threshold = certified_threshold(
            criterion,
            reviewed.score[counted],
            reviewed.label[counted],
            reviewed.weight[counted],
            drawn=reviewed.countable,
            request=request,
            labels=len(reviewed),
        )
    order = np.lexsort((reviewed.weight, reviewed.label, -reviewed.score))
    repeats = reviewed.repeats[order]
    calibration = Calibration.fit(
        np.repeat(reviewed.score[order], repeats),
        np.repeat(reviewed.label[order], repeats),
        groups=np.repeat(np.arange(len(reviewed)), repeats),
        label_count=len(reviewed),
        encoder=encoder,
        data=f"a review of {source}",
        criterion=MaxF1() if isinstance(criterion, MinPrecision) else criterion,
    )
    return calibration if threshold is None else replace(calibration, threshold=threshold, criterion=criterion)


def certificate(
    reviewed: Reviewed, calibration: Calibration, criterion: Criterion, source: str, conflicts: int, request: int = 1
) -> dict[str, Any]:
    """Return what the labels say about the threshold, as JSON values; "statement" is that in sentences, a line each.

    criterion: what the calibration was fitted for.  conflicts: pairs that reviewers disagree on, which count as unsure.
    request: as for `refit`.
    """
    threshold, labels = calibration.threshold, len(reviewed)
    recall = reviewed.recall(threshold)
    duplicates = int(reviewed.label.sum())
    claim, count = f"{criterion}, estimated; no precision is certified", labels
    if isinstance(criterion, MinPrecision):
        count = int(reviewed.counted.sum())
        claim = (
            f"precision at least {criterion.precision:g} with {100 * criterion.confidence:g} % confidence among all "
            f"pairs of {source}"
        )
    statement = [
        f"at threshold {threshold:.4f}: {claim}, from {count:,} labels",
        f"recall there is about {recall:.2f}, estimated among the pairs of different texts with a cosine of at least "
        f"{reviewed.floor:.2f}",
        f"labels: {duplicates:,} duplicates, {labels - duplicates:,} different ({reviewed.unsure:,} of them unsure)",
    ]
    certified = isinstance(criterion, MinPrecision)
    if certified and request > 1:
        statement.append(f"request {request:,} for a certificate on these labels: all of them share the allowed error")
    if conflicts:
        pairs = "pair that its reviewers disagree" if conflicts == 1 else "pairs that their reviewers disagree"
        statement.append(f"unsure among them: {conflicts:,} {pairs} on")
    if reviewed.elsewhere:
        statement.append(f"left out: {reviewed.elsewhere:,} labels of pairs not drawn for this export, or out of turn")
    return {
        "statement": statement,
        "source": source,
        "encoder": calibration.encoder,
        "threshold": threshold,
        "criterion": criterion_to_dict(criterion),
        "certified": certified,
        "request": request if certified else None,
        "recall_estimated": recall,
        "lowest_score_drawn": reviewed.floor,
        "labels": labels,
        "labels_counted": count,
        "duplicates": duplicates,
        "unsure": reviewed.unsure,
        "conflicts": conflicts,
        "labels_elsewhere_left_out": reviewed.elsewhere,
    }
