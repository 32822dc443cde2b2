"""Computes ROUGE: overlap of the generated answer with the truth, by the field's own scorer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from clearbench.data.words import symbols, words
from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.measure import Case
from clearbench.evaluation.metric import Metric
from clearbench.libraries import pd

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

TASKS = ("qa", "caption", "choice")
NEEDS = ("generated answer",)
#: Words of this length or less are not stemmed, as in `rouge-score`.
SHORT = 3


class _Words:
    """Cuts texts of any script into words; English ones are stemmed as `rouge-score` does."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self._stemmer = PorterStemmer()

    def tokenize(self, text: str) -> list[str]:
        return [
            str(self._stemmer.stem(word)) if len(word) > SHORT and word.isascii() else word
            for word in words(text)
        ]


class _Symbols:
    """Cuts texts into visible characters, for truths without a word, such as `?`."""

    def tokenize(self, text: str) -> list[str]:
        return symbols(text)


@cache
def _scorer(tokens: type[_Words] | type[_Symbols] | None) -> RougeScorer:
    from rouge_score.rouge_scorer import RougeScorer

    made = None if tokens is None else tokens()
    return RougeScorer(["rouge1", "rougeL"], use_stemmer=True, tokenizer=made)


@cache
def rouge(truth: str, text: str, published: bool = False) -> dict[str, float]:
    """Computes ROUGE-1 and ROUGE-L with stemming, recall and F1, of one answer.

    Words are those of any script (`clearbench.data.words`), so that every truth scores 1 with
    itself; on ASCII text with words they are those of the published scorer.

    Args:
        truth: True answer.
        text: Generated answer.
        published: True for `rouge-score` as it is, which reads a to z and 0 to 9 alone: other
            letters are gaps between words, and a truth without any of these scores 0.
    """
    tokens = None if published else _Words if words(truth) else _Symbols
    scores = _scorer(tokens).score(truth, text)
    return {
        "rouge_1": float(scores["rouge1"].recall),
        "rouge_1_f1": float(scores["rouge1"].fmeasure),
        "rouge_l": float(scores["rougeL"].recall),
        "rouge_l_f1": float(scores["rougeL"].fmeasure),
    }


class _Rouge(Metric):
    """Base of ROUGE scores of greedy answers.

    Attributes:
        published: True for the publications' scorer, which reads ASCII letters and digits alone.
    """

    unnamed: ClassVar[tuple[str, ...]] = ("published",)

    published: bool = False

    def part(self) -> str:
        """Returns the name of the number in `rouge`."""
        return self.name

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes the number per row."""
        generated = group.generations
        pairs = zip(generated["truth"], generated["text"], strict=True)
        values = [rouge(truth, text, self.published)[self.part()] for truth, text in pairs]
        return pd.Series(values, index=generated["row"], dtype=float)


class RougeL(
    _Rouge,
    name="rouge_l",
    title="ROUGE-L",
    group="Generated answers",
    needs=NEEDS,
    version=2,
    paper="TOFU, arXiv 2401.06121",
    shows=(
        "How much of the true answer is said, in order. Long rambling is not punished, and words "
        "that any answer has count like the fact itself."
    ),
):
    """ROUGE-L recall with stemming, of the greedy answer.

    Attributes:
        f1: True for F1 in place of recall.
        published: True for the publications' scorer, which reads ASCII letters and digits alone.
    """

    tasks: ClassVar[tuple[str, ...]] = TASKS
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"f1": True})
    cases: ClassVar[Mapping[str, Case]] = {
        "f1": Case(
            title="F1",
            paper="MUSE, MLLMU-Bench and MMUnlearner report this variant",
            shows=(
                "As recall, with what is said besides the truth counted against it. A correct "
                "answer in other words scores low."
            ),
        )
    }

    f1: bool = False

    def part(self) -> str:
        """Returns the name of recall or F1."""
        return "rouge_l_f1" if self.f1 else "rouge_l"


class Rouge1(
    _Rouge,
    name="rouge_1",
    title="ROUGE-1",
    group="Generated answers",
    needs=NEEDS,
    version=2,
    paper="TOFU, arXiv 2401.06121",
    shows="How many words of the true answer are said, in any order; the order may be nonsense.",
):
    """ROUGE-1 recall with stemming, of the greedy answer.

    Attributes:
        f1: True for F1 in place of recall.
        published: True for the publications' scorer, which reads ASCII letters and digits alone.
    """

    tasks: ClassVar[tuple[str, ...]] = TASKS
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"f1": True})
    cases: ClassVar[Mapping[str, Case]] = {
        "f1": Case(
            title="F1",
            shows="As ROUGE-1 recall, with what is said besides the truth counted against it.",
        )
    }

    f1: bool = False

    def part(self) -> str:
        """Returns the name of recall or F1."""
        return "rouge_1_f1" if self.f1 else "rouge_1"


class NameRougeL(
    _Rouge,
    name="name_rouge_l",
    title="ROUGE-L of the name",
    group="Names and faces",
    needs=NEEDS,
    version=2,
    paper="CLEAR, arXiv 2410.18057",
    shows=(
        "Whether the model says the name unprompted, which is harder than choosing it. Half a name "
        "counts half."
    ),
):
    """ROUGE-L recall of the name the model generates for a face.

    Attributes:
        published: True for the publications' scorer, which reads ASCII letters and digits alone.
    """

    tasks: ClassVar[tuple[str, ...]] = ("name",)

    def part(self) -> str:
        """Returns the name of recall."""
        return "rouge_l"


class VerbatimRougeL(
    _Rouge,
    name="verbatim_rouge_l",
    title="ROUGE-L of the continuation",
    group="Memorisation",
    needs=NEEDS,
    paper="MUSE, arXiv 2407.06460, whose number is F1 without stemming",
    shows=(
        "How much of a text the model goes on to say when it is given the beginning. The words "
        "that any text of its kind has count too, so gold is above 0."
    ),
):
    """ROUGE-L recall of what the model writes after the beginning of a text.

    Attributes:
        f1: True for F1 in place of recall.
        published: True for the publications' scorer, which reads ASCII letters and digits alone.
    """

    tasks: ClassVar[tuple[str, ...]] = ("continuation",)
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"f1": True})
    cases: ClassVar[Mapping[str, Case]] = {
        "f1": Case(
            title="F1",
            paper="MUSE, arXiv 2407.06460, whose number is without stemming",
            shows="As recall, with what is written besides the text counted against it.",
        )
    }

    f1: bool = False

    def part(self) -> str:
        """Returns the name of recall or F1."""
        return "rouge_l_f1" if self.f1 else "rouge_l"
