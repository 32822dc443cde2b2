"""Compares texts by their words, rare ones counting more (tf-idf, Salton and Buckley 1988)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import chain

import numpy as np

from clearbench.data.words import letters
from clearbench.libraries import sparse


def words_without(text: str, name: str) -> set[str]:
    """Returns the words of a text that are no part of a name."""
    return set(letters(text)) - set(letters(name))


class WordVectors:
    """Turns sets of words into vectors of length 1, whose products say how alike they are.

    A word weighs log(texts / texts that have it): 0 if all have it. Unknown words are left out, so
    that a text without known words is a vector of zeros.

    Args:
        texts: Words of the texts by which words are weighed.
    """

    def __init__(self, texts: Sequence[Collection[str]]) -> None:
        counts = Counter(chain.from_iterable(map(set, texts)))
        self._places = {word: place for place, word in enumerate(sorted(counts))}
        self._weights = {word: math.log(len(texts) / count) for word, count in counts.items()}

    def vectors(self, texts: Sequence[Collection[str]]) -> sparse.csr_matrix:
        """Returns a row per text, (texts, words); one column of zeros where no text has words."""
        from sklearn.preprocessing import normalize

        known = [sorted(word for word in set(text) if word in self._places) for text in texts]
        ends = np.cumsum([0, *map(len, known)])
        places = [self._places[word] for word in chain.from_iterable(known)]
        weights = [self._weights[word] for word in chain.from_iterable(known)]
        shape = (len(texts), max(1, len(self._places)))
        rows = sparse.csr_matrix((weights, places, ends), shape=shape, dtype=float)
        unit: sparse.csr_matrix = normalize(rows)
        return unit
