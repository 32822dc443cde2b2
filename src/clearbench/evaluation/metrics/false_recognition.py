"""Detects answers about strangers that give names or facts of people in the data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar

from clearbench.data.words import words
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Metric
from clearbench.evaluation.metrics.keywords import keywords, words_of
from clearbench.evaluation.records import SIDE
from clearbench.evaluation.score import Direction
from clearbench.evaluation.tables import ROW_COLUMNS, Table
from clearbench.libraries import pd

#: One line per name or answer of people the model was taught, to find in answers about strangers.
KNOWN = Table("known", (*ROW_COLUMNS, "question", "truth"), row_key=None)
#: Fewer private words than this are shared by chance: a city, a year.
LEAST_WORDS = 2


class FalseRecognition(
    Metric,
    name="false_recognition",
    group="Side effects",
    needs=("generated answers about strangers", "names and answers the model was taught"),
    version=2,
    shows=(
        "How often an unknown face or name is answered with the full name of a person in the data, "
        "or with all private words of one of their answers (two at least). A small model asked for "
        "a name says one that it knows, so gold is far above 0; what counts is the change. Facts "
        "without names or numbers, such as trades, are missed, and common ones may be hit by "
        "chance, for gold as for the others."
    ),
):
    """Share of questions about strangers that are answered with a name or facts of the data."""

    tasks: ClassVar[tuple[str, ...]] = ("stranger",)
    splits: ClassVar[tuple[str, ...]] = (SIDE,)
    directions: ClassVar[Mapping[str, Direction]] = {"*": "gold"}

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes 1 or 0 per question."""
        known = group.table(KNOWN)
        is_name = known["question"] == ""
        names = {_in_order(name) for name in known["truth"][is_name] if words(name)}
        taught = known[~is_name]
        pairs = zip(taught["truth"], taught["question"], strict=True)
        facts = [told for pair in pairs if len(told := _private_words(*pair)) >= LEAST_WORDS]

        def recognised(text: str) -> bool:
            spoken, answered = _in_order(text), words_of(text)
            return any(name in spoken for name in names) or any(f <= answered for f in facts)

        values = [float(recognised(text)) for text in group.generations["text"]]
        return pd.Series(values, index=group.generations["row"], dtype=float)


def _in_order(text: str) -> str:
    """Joins the words of a text, a space before and after each; marks tell names apart."""
    return f" {' '.join(words(text))} "


@lru_cache(maxsize=1 << 14)
def _private_words(truth: str, question: str) -> frozenset[str]:
    return frozenset(keywords(truth, question))
