"""A folder of known questions that grows and shrinks, and gives the same answers as one made anew from what is in it.

    index.json          format, the encoder and calibration that all decisions are made with, the detector's folder
    detector/           that detector, so that the folder is all that is needed (none for an encoder of one's own)
    questions.sqlite    questions, distinct texts, pairs at or above the threshold, what people decided
    vectors-N.f32       a float32 row for each distinct text, in the order in which they came
    rounded-N.u8        the same in 8 bits, with steps-N.f32: what a search reads first (`dupdetect.index.rounded`)

**Nothing half done.** A change is one transaction of the database. The vectors that it refers to are on the disk
before it ends; what a killed process wrote behind them is ignored, and written over by the next change. No row of a
file is ever changed: removed ones are counted out, and when they are the most, a new file takes the old one's place.

**One writer, many readers.** Whoever adds or removes holds the database's lock; another one waits a few seconds, and
then gets an IndexLockedError. Readers, in any thread and process, take no lock: each search is one transaction, and
sees the index as it was before or after a change. One `QuestionIndex` may be used by any number of threads.

**append == rebuild.** A distinct text is compared with all others when it comes, exactly, and pairs go when one of
their texts goes. What people decided (these two are no duplicates, these two are, this one stays) is kept by the
texts, and holds when they go and come again. A merged pair has its measured similarity and is told as merged; so a
removed question still names a kept one that it was compared with, which is at or above the threshold, or merged with
it by a person. Whether a pair counts is decided when it is asked for, by the code of `Detector.deduplicate`: guards
and reviewers are not remembered as they once spoke. Texts are compared whole, as what a part of a collection has in
common changes with each question that is added.
"""

from __future__ import annotations

from dupdetect.index.index import QuestionIndex
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

__all__ = [
    "Added",
    "Check",
    "ClassMatch",
    "Classification",
    "ClusterMember",
    "Hit",
    "KnownCluster",
    "KnownQuestion",
    "QuestionIndex",
    "Removed",
]
