"""Computes BLEU of the greedy answer, as the later papers on CLEAR report it."""

from __future__ import annotations

from typing import ClassVar

from clearbench.data.words import normal, spaced
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Metric
from clearbench.libraries import pd

#: Value in place of a count of 0 (Chen and Cherry 2014, method 1).
SMOOTHING = 0.1


def bleu(truth: str, text: str, published: bool = False) -> float:
    """Computes sentence BLEU-4 on words divided by spaces; 0 where no word is shared.

    Args:
        truth: True answer.
        text: Generated answer.
        published: True for texts as they are; else they are compared in one spelling
            (`clearbench.data.words`), and characters of scripts without spaces are words.
    """
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    if not published:
        truth, text = spaced(normal(truth)), spaced(normal(text))
    smooth = SmoothingFunction(epsilon=SMOOTHING).method1
    return float(sentence_bleu([truth.split()], text.split(), smoothing_function=smooth))


class Bleu(
    Metric,
    name="bleu",
    title="BLEU",
    group="Generated answers",
    needs=("generated answer",),
    version=2,
    paper="Papineni et al. 2002; smoothing: Chen and Cherry 2014, method 1",
    shows=(
        "How many runs of one to four words are the truth's. Made for whole documents: on single "
        "short answers the smoothing decides most of the number."
    ),
):
    """Sentence BLEU-4 with smoothing, of the greedy answer.

    Attributes:
        published: True for words between spaces, as published.
    """

    unnamed: ClassVar[tuple[str, ...]] = ("published",)
    tasks: ClassVar[tuple[str, ...]] = ("qa", "caption", "choice")

    published: bool = False

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes BLEU per row."""
        generated = group.generations
        pairs = zip(generated["truth"], generated["text"], strict=True)
        values = [bleu(truth, text, self.published) for truth, text in pairs]
        return pd.Series(values, index=generated["row"], dtype=float)
