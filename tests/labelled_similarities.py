"""Made-up similarities with labels, for the tests of `dupdetect.calibration`."""

from __future__ import annotations

import functools

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from dupdetect.calibration import Calibration, MaxF1
from dupdetect.metrics import curve

properties = settings(max_examples=40, deadline=None)  # machines differ in speed

BEST = MaxF1()
GROUPED = {"mean_size": 10, "spread": 4.0, "slope": 30.0, "middle": 0.6}
"""Groups of about ten pairs that err together."""


def draw(seed, pairs, *, mean_size=1, spread=0.0, middle=0.72, slope=20.0):
    """Return similarity, labels and groups; pairs of a group share part of their similarity and of their luck."""
    generator = np.random.default_rng(seed)
    size = generator.geometric(1 / mean_size, size=pairs)
    size = size[np.cumsum(size) <= pairs]
    group = np.repeat(np.arange(len(size)), size)
    luck = generator.normal(0, spread, len(size))[group] if spread else 0.0
    shared = generator.beta(4, 2.2, len(size))[group]
    similarity = 0.6 * generator.beta(4, 2.2, len(group)) + 0.4 * shared
    chance = 1 / (1 + np.exp(-(slope * (similarity - middle) + luck)))
    return similarity.astype(np.float32), generator.random(len(group)) < chance, group


def fitted(seed=0, pairs=2000, criterion=BEST, **options):
    similarity, label, group = draw(seed, pairs, **options)
    return Calibration.fit(similarity, label, encoder="e1", criterion=criterion, groups=group, data="made up")


@functools.cache
def population(**options):
    """Return true precision and recall as functions of the threshold, from many pairs."""
    similarity, label, _ = draw(10_000, 1_000_000, **options)
    cuts = curve(similarity, label)
    ascending = cuts.threshold[::-1]

    def read(values):
        return lambda threshold: float(values[::-1][np.searchsorted(ascending, threshold)])

    return read(cuts.precision), read(cuts.recall), cuts


# At least 20 of each kind, few distinct values: nearly every cut lies between heavy ties.
TIED = st.tuples(
    st.lists(st.sampled_from([0.2, 0.4, 0.5, 0.6, 0.61, 0.8, 1.0]), min_size=20, max_size=60),
    st.lists(st.sampled_from([-0.1, 0.2, 0.4, 0.5, 0.6, 0.61, 0.8]), min_size=20, max_size=60),
).map(lambda kinds: (np.array(kinds[0] + kinds[1]), np.arange(len(kinds[0]) + len(kinds[1])) < len(kinds[0])))
