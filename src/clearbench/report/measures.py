"""Words scores: a metric's own title and explanation, or its key made readable."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from clearbench.evaluation.description import Description
from clearbench.runs.schema import Results

#: Headings of the columns that runs are judged by, as questions about people.
_HEADINGS = {
    "forget.text.probability": "Answer probability",
    "forget.image.probability": "Caption probability",
    "forget.text.rouge_l": "Answer ROUGE-L",
    "forget.image.rouge_l": "Caption ROUGE-L",
    "forget.image.name_probability": "Probability of the name",
    "forget.image.name_choice": "Right name chosen",
    "forget.image.name_choice_known": "Right name chosen",
    "forget.text.letter_choice": "Right letter given",
    "forget.image.letter_choice": "Right letter given for a picture",
    "retain.text.probability": "answers about others",
    "retain.image.probability": "captions of others",
    "retain.image.name_choice": "names of others",
    "retain.image.name_probability": "probability of others' names",
    "retain.image.name_choice_known": "names of others",
    "real_faces.image.probability": "well-known faces",
    "forget.image.heads_accuracy": "Forgotten people recognised",
    "holdout.image.heads_accuracy": "People never taught recognised",
    "retain.image.heads_accuracy": "Others recognised",
    "real_world.text.probability": "world facts",
}
#: Ending of a score's name under a control.
CONTROLS = {"_blank": "blank picture", "_shuffled": "picture of another person"}
_ABBREVIATIONS = {"rouge", "bleu", "kl", "js", "auc", "mia", "f1"}


@dataclass(frozen=True)
class MetricWords:
    """Title, group and explanation of a metric.

    Attributes:
        name: Name in the results.
        title: Name in print.
        group: Heading that it is listed under; empty where it has none.
        shows: Paragraph on what it shows and what it does not; empty for an unknown metric.
        paper: Source of the metric.
    """

    name: str
    title: str
    group: str = ""
    shows: str = ""
    paper: str = ""


def measure(key: str) -> str:
    """Words a score's key, for the head of a column."""
    if key in _HEADINGS:
        return _HEADINGS[key]
    for control, words in CONTROLS.items():
        if key.endswith(control):
            return f"{measure(key.removesuffix(control))}, {words}"
    return " ".join(key.split(".")).replace("_", " ")


def failed_metrics(results: Results) -> list[tuple[str, str]]:
    """Lists the metrics of plugins that failed on a run, each with its first reason."""
    reasons: dict[str, str] = {}
    for row in results.rows:
        reasons = row.failed_metrics | reasons
    return sorted(reasons.items())


def metric_words(name: str, known: Mapping[str, Description]) -> MetricWords:
    """Finds the words of a score by the last part of its keys.

    Args:
        name: Last part of the keys, with a control's ending if there is one.
        known: Descriptions by the last part of keys; a title is made from the name of others.
    """
    for control, words in CONTROLS.items():
        if name.endswith(control):
            plain = metric_words(name.removesuffix(control), known)
            return replace(plain, title=f"{plain.title}, {words}")
    if name not in known:
        return MetricWords(name, _readable(name))
    described = known[name]
    title = described.title
    return MetricWords(name, title, described.group, described.shows, described.paper)


def _readable(name: str) -> str:
    """Makes a metric's name readable: `rouge_l_f1` becomes `ROUGE-L F1`."""
    words = (word.upper() if word in _ABBREVIATIONS else word for word in name.split("_"))
    text = re.sub(r" ([b-z\d])\b", lambda letter: f"-{letter[1].upper()}", " ".join(words))
    return text[:1].upper() + text[1:]


def in_sentence(title: str) -> str:
    """Puts a title within a sentence: its first letter is small unless it is an abbreviation."""
    return title[:1].lower() + title[1:] if title[1:2].islower() else title
