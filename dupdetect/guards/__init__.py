"""Guards: what a cosine does not see.

A cosine cannot tell *enable* from *disable*, or error 403 from error 404: the rest of the two texts is the same, and
that is what it measures. A guard fires where two texts differ in nothing but

    numbers        each has a number that the other has not
    negation       one of them is negated
    opposites      a word, and its opposite
    alternatives   two kinds of one thing: PDF and CSV, Monday and Friday, Android and Windows
    word order     two words have changed places: from A to B, and from B to A
    names          each has a name that the other has not, by its capital letter: the capital of Peru, of Chile

"Nothing but" means that all other words agree, up to small words (articles, pronouns, auxiliary verbs) and the plural
s. Measured on held-out pairs, the similarity says next to nothing about such pairs, however high it is, and most are no
duplicates; where other words differ too, these same differences say little. So a guard lowers the score of a pair to
that of a pair of which as few are duplicates: `Guards.cap`, in the unit of the similarity. `scripts/measure_guards.py`
shows what each is worth, and what was tried and left out.

English only: in a text of another language hardly a guard fires.
"""

from __future__ import annotations

from dupdetect.guards.guards import GUARDS, GuardedTexts, Guards
from dupdetect.guards.names import capitalised_words

__all__ = ["GUARDS", "GuardedTexts", "Guards", "capitalised_words"]
