"""BLEU of the greedy answer, as the later papers on CLEAR report it."""

from __future__ import annotations

import math
from collections import Counter

import pandas as pd

from clearbench.evaluation.metric import Metric
from clearbench.evaluation.records import Cell

LONGEST = 4
#: In place of a count of 0 (Chen and Cherry 2014, method 1).
SMOOTHING = 0.1


def bleu(truth: str, text: str) -> float:
    """Sentence BLEU-4 on words divided by spaces; 0 where not one word is shared."""
    true, said = truth.split(), text.split()
    matches, totals = zip(
        *(_matched(true, said, length) for length in range(1, LONGEST + 1)), strict=True
    )
    if not matches[0]:
        return 0.0
    logs = [
        math.log((match or SMOOTHING) / total) for match, total in zip(matches, totals, strict=True)
    ]
    brevity = min(0.0, 1 - len(true) / len(said))
    return math.exp(brevity + sum(logs) / LONGEST)


def _matched(true: list[str], said: list[str], length: int) -> tuple[int, int]:
    """Runs of words that are said and true, each as often as it is true; and runs said, at least 1.

    Answers shorter than the run have none, which the field's scorer counts as one run missed.
    """
    spoken, wanted = (
        Counter(tuple(words[k : k + length]) for k in range(len(words) - length + 1))
        for words in (said, true)
    )
    return (spoken & wanted).total(), max(1, spoken.total())


class Bleu(Metric):
    """Sentence BLEU-4 with smoothing, of the greedy answer."""

    name = "bleu"
    needs = ("generated answer",)
    tasks = ("qa", "caption", "choice")
    paper = "Papineni et al. 2002; smoothing: Chen and Cherry 2014, method 1"
    shows = (
        "How many runs of one to four words are the truth's. Made for whole documents: on single "
        "short answers the smoothing decides most of the number."
    )

    @classmethod
    def per_row(cls, cell: Cell, split: str) -> pd.Series:
        """BLEU per row."""
        spoken = cell.generations
        values = [bleu(a, b) for a, b in zip(spoken["truth"], spoken["text"], strict=True)]
        return pd.Series(values, index=spoken["row"], dtype=float)
