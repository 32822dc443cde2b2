"""Words scores: a metric's own title and explanation, or its key made readable."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from clearbench.evaluation.aggregates import AGGREGATES
from clearbench.evaluation.metric import metrics
from clearbench.report.words import listed

#: Headings of the columns that runs are judged by, as questions about people.
_HEADINGS = {
    "forget.text.probability": "Answer probability",
    "forget.image.probability": "Caption probability",
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
    *place, metric = key.split(".")
    return " ".join((*place, metric)).replace("_", " ")


def measures(keys: Sequence[str]) -> str:
    """Words several scores, as part of a sentence."""
    return listed([measure(key).lower() for key in in_order(keys)])


def in_order(keys: Iterable[str]) -> list[str]:
    """Sorts keys in the order of the columns; a file has them in alphabetical order."""
    places = {key: place for place, key in enumerate(_HEADINGS)}
    return sorted(keys, key=lambda key: places.get(key, len(places)))


def metric_words(name: str) -> MetricWords:
    """Finds the words of a metric or aggregate by the last part of its keys.

    The title is the class's own where it has one, else made from the name.
    """
    for control, words in CONTROLS.items():
        if name.endswith(control):
            plain = metric_words(name.removesuffix(control))
            return replace(plain, title=f"{plain.title}, {words}")
    classes = {key.partition("#")[0]: metric for key, metric in metrics().items()}
    aggregates = {aggregate.name: aggregate for aggregate in AGGREGATES}
    known = classes.get(name) or aggregates.get(name)
    if known is None:
        return MetricWords(name, _readable(name))
    return MetricWords(
        name=name,
        title=getattr(known, "title", "") or _readable(name),
        group=getattr(known, "group", ""),
        shows=known.shows,
        paper=known.paper,
    )


def _readable(name: str) -> str:
    """Makes a metric's name readable: `rouge_l_f1` becomes `ROUGE-L F1`."""
    words = (word.upper() if word in _ABBREVIATIONS else word for word in name.split("_"))
    text = re.sub(r" ([b-z\d])\b", lambda letter: f"-{letter[1].upper()}", " ".join(words))
    return text[:1].upper() + text[1:]


def in_sentence(title: str) -> str:
    """Puts a title within a sentence: its first letter is small unless it is an abbreviation."""
    return title[:1].lower() + title[1:] if title[1:2].islower() else title
