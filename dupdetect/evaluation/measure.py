"""Each question encoded once, then every view of the same similarities."""

from __future__ import annotations

import numpy as np

from dupdetect.curves import pair_curves
from dupdetect.detector import Detector
from dupdetect.distinct_texts import DistinctTexts
from dupdetect.encoded_texts import encode_texts
from dupdetect.errors import EmptyInputError, InputError
from dupdetect.evaluation.graph_alone import graph_alone
from dupdetect.evaluation.mining import mining_metrics
from dupdetect.evaluation.pair_metrics import pair_metrics
from dupdetect.evaluation.result import Evaluation
from dupdetect.evaluation.retrieval import retrieval_metrics
from dupdetect.evaluation.transfer import precision_at_prevalence, threshold_transfer
from dupdetect.graph import connected_components
from dupdetect.pairs import PairNodes, QuestionPairs, labelled
from dupdetect.progress import Progress, silent
from dupdetect.search import cosine


def evaluate(detector: Detector, pairs: QuestionPairs, *, seed: int = 0, progress: Progress = silent) -> Evaluation:
    """Measure a calibrated detector on labelled pairs; `seed` is that of the bootstrap, and of what is left to chance.

    Honest only on pairs that neither the encoder, nor the calibration, nor any choice made on the way has seen: use the
    test split of `split_pairs`, once. Neither the order of the pairs nor that of the two questions in them matters.

    Decided as the detector decides: two questions that differ in words which the encoder does not know are no
    duplicates, whatever their similarity, and find each other neither in retrieval nor in mining; where a guard fires,
    the lower score stands in place of the similarity, except in retrieval, which looks at the encoder alone.

    Raises EmptyInputError for no pairs, InputError when there are not both duplicates and others, NotCalibratedError.
    """
    if not len(labelled(pairs)):
        raise EmptyInputError("There are no labelled pairs to evaluate on.")
    if pairs.labels.all() or not pairs.labels.any():
        kind = "duplicates" if pairs.labels.all() else "not duplicates"
        raise InputError(
            f"All {len(pairs):,} pairs are labelled {kind}, and both kinds are needed to evaluate. "
            "Add pairs with the other label."
        )
    calibration = detector.require_calibration()
    nodes = pairs.nodes()
    if "" in nodes.texts:
        raise InputError(
            "A question is blank. Make the pairs with QuestionPairs.from_columns, which leaves such rows out."
        )
    # In the order of the texts, not of the rows: sums, resamples and drawn parts depend on it.
    edges = np.sort(np.column_stack([nodes.left, nodes.right]), axis=1)
    order = np.lexsort(edges.T[::-1])
    edges, labels = edges[order], pairs.labels[order]
    groups = connected_components(len(nodes.texts), *edges.T)[edges[:, 0]]
    texts = encode_texts(detector.encoder, DistinctTexts.of(_as_written(pairs, nodes)), progress, detector.guards)
    left, right = texts.position[edges.T]
    similarity = texts.score(left, right, cosine(texts.embeddings[left], texts.embeddings[right]))
    # As in `ComparedPairs.score`: no threshold accepts -inf.
    similarity = np.where(texts.comparable(left, right), similarity, np.float32(-np.inf))
    probability = calibration.probability(similarity)
    classes = connected_components(len(texts.forms), left[labels], right[labels])
    threshold = calibration.threshold
    return Evaluation(
        detector=detector.name,
        encoder=detector.encoder.fingerprint,
        criterion=str(calibration.criterion),
        pair=pair_metrics(similarity, probability, labels, groups, threshold, seed),
        transfer=threshold_transfer(calibration, similarity, labels),
        graph=graph_alone(len(nodes.texts), edges, labels, groups, seed),
        retrieval=retrieval_metrics(texts, classes, progress),
        mining=mining_metrics(texts, classes, threshold, progress),
        precision_at_prevalence=precision_at_prevalence(similarity, labels, threshold),
        curves=pair_curves(similarity, probability, labels, groups),
    )


def _as_written(pairs: QuestionPairs, nodes: PairNodes) -> list[str]:
    """Return for each question a text as it came, of several the first in alphabetical order: guards read capitals."""
    written = [""] * len(nodes.texts)
    for column, places in ((pairs.left, nodes.left), (pairs.right, nodes.right)):
        for text, place in zip(column, places.tolist(), strict=True):
            written[place] = min(written[place] or text, text)
    return written
