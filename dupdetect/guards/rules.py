"""In what two readings differ, when they differ in nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from dupdetect.guards.lexicon import ALTERNATIVES, OPPOSITES, SMALL_WORDS, SYMMETRIC

__all__ = ["alternatives_differ", "changes_places", "numbers_differ", "opposites_differ"]

_LONGEST = 4  # words that change places together
_AND = SYMMETRIC - {"with"}

Words = frozenset[str]


def numbers_differ(first: Words, second: Words) -> bool:
    """Tell whether each text has a number that the other has not: with "6 months" and "gate 2017, 6 months" it is so of
    one text only, and that says little.
    """
    return bool(first - second) and bool(second - first)


def opposites_differ(first: Words, second: Words) -> bool:
    """Tell whether a text has a word, the other its opposite, and neither has both.

    "upload and download" has both, in whatever forms: so has "uploading and downloading". Words that both texts have do
    not count: "stop before the end" and "start before the end" are opposites.
    """
    only_first, only_second = first - second, second - first
    for one, other in OPPOSITES:
        sides = [(not words.isdisjoint(one), not words.isdisjoint(other)) for words in (only_first, only_second)]
        if sides in ([(True, False), (False, True)], [(False, True), (True, False)]):
            return True
    return False


def alternatives_differ(first: Words, second: Words) -> bool:
    """Tell whether both texts name things of one kind, and none in common."""
    for kinds in ALTERNATIVES:
        named = {kind for kind in kinds if not first.isdisjoint(kind)}
        if named:
            other = {kind for kind in kinds if not second.isdisjoint(kind)}
            if other and named.isdisjoint(other):
                return True
    return False


def changes_places(first: Sequence[str], second: Sequence[str]) -> bool:
    """Tell whether one text is the other with two words, or groups of up to four, in each other's place; words perhaps
    several times.

    "from savings to checking" and "from checking to savings", but not "cats and dogs" and "dogs and cats": a symmetric
    word between the two means that the order does not matter. Nor does a word that merely moves count.

    first, second: the words of the texts, the same ones in another order.
    """
    start, end = 0, len(first)
    while start < end and first[start] == second[start]:
        start += 1
    while end > start and first[end - 1] == second[end - 1]:
        end -= 1
    a, b = tuple(first[start:end]), tuple(second[start:end])
    if _two_words_change_places(a, b):
        return True
    n = len(a)
    for x in range(1, min(_LONGEST, n - 2) + 1):
        if a[:x] != b[n - x :]:
            continue
        for y in range(1, min(_LONGEST, n - 1 - x) + 1):
            if a[n - y :] == b[:y] and a[x : n - y] == b[y : n - x] and not _symmetric(a[x : n - y]):
                return True
    return False


def _two_words_change_places(first: Sequence[str], second: Sequence[str]) -> bool:
    """Tell whether one is the other with two words in each other's place wherever they differ."""
    differ = [place for place, (one, other) in enumerate(zip(first, second, strict=True)) if one != other]
    swaps = {(first[place], second[place]) for place in differ}
    if len(swaps) != 2 or {(other, one) for one, other in swaps} != swaps:
        return False
    between = first[differ[0] + 1 : differ[1]]
    return len(between) > 0 and not _symmetric(between)


def _symmetric(between: Sequence[str]) -> bool:
    words = set(between)
    return not words.isdisjoint(_AND) or (words <= SMALL_WORDS | SYMMETRIC and not words.isdisjoint(SYMMETRIC))
