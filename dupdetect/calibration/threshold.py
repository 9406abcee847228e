"""The threshold that a criterion asks for."""

from __future__ import annotations

import numpy as np

from dupdetect.calibration.certification import certified_cut
from dupdetect.calibration.criteria import Criterion, EstimatedPrecision, FixedThreshold, MaxF1, MinRecall
from dupdetect.calibration.evidence import CalibrationSample
from dupdetect.calibration.measures import f1_at
from dupdetect.errors import CalibrationError, UnreachableCriterionError
from dupdetect.metrics import Curve, curve


def choose_threshold(criterion: Criterion, sample: CalibrationSample, prevalence: float) -> float:
    """Return the threshold that the criterion asks for when a share `prevalence` of the pairs are duplicates.

    Raises `CalibrationError` for an estimated precision, and for a certified one where the rows of the sample stand for
    weights, and
    `UnreachableCriterionError`: for a precision that cannot be certified, and for a recall where more duplicates
    than it allows are accepted at no threshold.
    """
    if isinstance(criterion, FixedThreshold):
        return criterion.threshold
    if isinstance(criterion, EstimatedPrecision):
        raise CalibrationError(
            "An estimated precision is reached on the pairs of a file, not on labelled ones: pass it to `deduplicate`."
        )
    cuts = curve(sample.similarity, sample.label)
    if isinstance(criterion, MaxF1):
        value = f1_at(cuts.recall, cuts.false_positive_rate, prevalence) if prevalence != sample.prevalence else cuts.f1
        # The first is the highest threshold; the tolerance is for values that are equal but for rounding.
        return _below_cut(cuts, int(np.argmax(value >= value.max() - 1e-12)))
    if isinstance(criterion, MinRecall):
        enough = cuts.recall >= criterion.recall
        if not enough.any():
            labels = sample.label & sample.once
            missed, duplicates = int((labels & ~sample.comparable).sum()), int(labels.sum())
            raise UnreachableCriterionError(
                str(criterion),
                float(cuts.recall[-1]),
                None,
                f"{missed:,} of the {duplicates:,} labelled duplicates are accepted at no threshold: "
                f"{sample.why_never}. Ask for less, or use another encoder.",
            )
        return _below_cut(cuts, int(np.argmax(enough)))
    if sample.labels is not None:
        raise CalibrationError(
            "The evidence of this detector is a review, whose labels stand for different numbers of pairs. Certify "
            "another precision from the labels: dupdetect calibrate --from-reviews OUT_DIR --min-precision P -o FOLDER"
        )
    return _below_cut(cuts, certified_cut(criterion, sample, cuts, prevalence))


def _below_cut(cuts: Curve, index: int) -> float:
    """Return the threshold midway between this distinct similarity and the next lower one.

    It is a float32 number: comparing float32 similarities with it gives the same in single and double precision.
    """
    accepted = float(cuts.threshold[index])
    if index + 1 == len(cuts.threshold):
        return accepted
    rejected = float(cuts.threshold[index + 1])
    middle = float(np.float32((accepted + rejected) / 2))
    return middle if middle > rejected else accepted
