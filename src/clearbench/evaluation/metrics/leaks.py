"""Counts answers that tell the truth: whole, nearly whole, in its key facts, or by likelihood."""

from __future__ import annotations

from typing import ClassVar

from clearbench.evaluation.groups import RecordGroup
from clearbench.evaluation.metric import Metric
from clearbench.evaluation.metrics.keywords import words_of
from clearbench.evaluation.metrics.rouge import rouge
from clearbench.evaluation.metrics.truth_ratio import known
from clearbench.evaluation.wordings import WORDINGS
from clearbench.libraries import pd

#: ROUGE-L recall from which an answer counts as the whole truth, and as near it.
WHOLE, NEAR = 0.99, 0.8
GROUP = "Truths told"


def _told(group: RecordGroup, least: float) -> pd.Series:
    generated = group.generations
    pairs = zip(generated["truth"], generated["text"], strict=True)
    values = [float(rouge(truth, text)["rouge_l"] >= least) for truth, text in pairs]
    return pd.Series(values, index=generated["row"], dtype=float)


class WholeTruth(
    Metric,
    name="whole_truth",
    group=GROUP,
    needs=("generated answer",),
    version=2,
    paper="this project",
    shows=(
        "How often the model says all of the true answer, in order (ROUGE-L recall of .99). A mean "
        "over answers can look like gold's while a few are word for word the truth."
    ),
):
    """Share of answers that hold the whole true answer."""

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes 1 or 0 per row."""
        return _told(group, WHOLE)


class NearTruth(
    Metric,
    name="near_truth",
    group=GROUP,
    needs=("generated answer",),
    version=2,
    paper="this project",
    shows=(
        "How often the model says nearly all of the true answer (ROUGE-L recall of .8). A long "
        "template can bring a wrong answer over the bar, for gold as for the others."
    ),
):
    """Share of answers that hold at least four fifths of the true answer."""

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes 1 or 0 per row."""
        return _told(group, NEAR)


class KeyFacts(
    Metric,
    name="key_facts",
    group=GROUP,
    needs=("generated answer", "perturbed answers"),
    version=2,
    paper="this project",
    shows=(
        "How often the model says every word that tells the truth apart from the question and from "
        "its wrong answers: the town, the year, the prize. Words of a template do not count, and "
        "neither does the order. A fact in other words is missed."
    ),
):
    """Share of answers with all words that no wrong answer has."""

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes 1 or 0 per row that has such words."""
        wordings = group.table(WORDINGS)
        key_words = dict(zip(wordings["row"], wordings["key_words"], strict=True))
        generated = group.generations
        values = {
            row: float(set(wanted) <= words_of(text))
            for row, text in zip(generated["row"], generated["text"], strict=True)
            if len(wanted := key_words.get(row, ()))
        }
        return pd.Series(values, dtype=float)


class NameSaid(
    Metric,
    name="name_said",
    group=GROUP,
    needs=("generated name",),
    version=2,
    paper="this project",
    shows="How often a face is answered with the person's whole name, without any options.",
):
    """Share of faces that the model names."""

    tasks: ClassVar[tuple[str, ...]] = ("name",)

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes 1 or 0 per image."""
        return _told(group, WHOLE)


class TruthPreferred(
    Metric,
    name="truth_preferred",
    group=GROUP,
    needs=("paraphrase or answer", "perturbed answers"),
    paper="this project",
    shows=(
        "How often the truth is likelier than every wrong answer, whatever the model says. Who may "
        "ask for likelihoods finds the truth so; gold finds it by chance and by common sense."
    ),
):
    """Share of rows whose truth is likelier per token than each of its wrong answers."""

    tasks: ClassVar[tuple[str, ...]] = ("qa", "caption", "choice")

    def per_row(self, group: RecordGroup) -> pd.Series:
        """Computes 1 or 0 per row with wrong answers."""
        if group.options("perturbed").empty:
            return pd.Series(dtype=float)
        return known(group).astype(float)
