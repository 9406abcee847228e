"""Made-up pairs of questions, for the tests of `dupdetect.splits`."""

import numpy as np
from hypothesis import HealthCheck, settings

from dupdetect.pairs import QuestionPairs

# No deadline: a busy machine is no failure.
unhurried = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
HALVES = {"train": 0.5, "test": 0.5}


def pairs_of(rows):
    return QuestionPairs.from_columns([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])


def question(number, spelling=0):
    """Three spellings of one question: the second has the same canonical text, the third only the same words."""
    return (f"how about topic {number}", f"How  about TOPIC {number}?", f"about topic {number}, how")[spelling]


def random_rows(n, questions, seed=0):
    random = np.random.default_rng(seed)
    ends = random.integers(0, questions, (n, 2))
    return [(question(a), question(b), bool(c)) for (a, b), c in zip(ends, random.random(n) < 0.4, strict=True)]
