"""Writes evidence as JSON and as one self-contained page without any script."""

from __future__ import annotations

import math
from pathlib import Path

from clearbench.audit import words
from clearbench.audit.answers import Speaker, on_page
from clearbench.evaluation.score import Score
from clearbench.evidence.found import FLOORS
from clearbench.evidence.schema import EVIDENCE, Evidence
from clearbench.report.page import inline, templates
from clearbench.storage import write_bytes

PAGE = "evidence.html"
#: Splits of the table of numbers, and its scores.
_SPLITS = {
    "forget": "people to forget",
    "retain": "people who stay",
    "side": "strangers and neutral questions",
}
_SCORES = (
    "probability",
    "rouge_l",
    "whole_truth",
    "name_said",
    "key_facts",
    "garbage_rate",
    "refusal_rate",
    "empty_rate",
    "false_recognition",
    "neutral_divergence",
)
#: Models whose answers the page shows.
SPEAKERS = (
    Speaker("before", "original", "original"),
    Speaker("now", "method", "answer"),
    Speaker("gold", "gold", "gold"),
)


def write_evidence(evidence: Evidence, folder: Path) -> tuple[Path, Path]:
    """Writes `evidence.json` and `evidence.html` into a folder; returns both.

    Args:
        evidence: What was found.
        folder: Folder of the model.
    """
    file, page = folder / EVIDENCE, folder / PAGE
    evidence.write(file)
    write_bytes(page, render(evidence).encode())
    return file, page


def render(evidence: Evidence) -> str:
    """Renders the page as text; equal evidence gives equal bytes."""
    environment = templates()
    environment.filters |= {
        "percent": words.percent,
        "amount": words.count,
        "ends": lambda score: words.between(score.low, score.high),
        "likely": lambda value: f"{100 * math.exp(value):.3g} %",
    }
    audit = evidence.audit
    return environment.get_template("evidence.html.j2").render(
        evidence=evidence,
        audit=audit,
        style=inline("report.css"),
        numbers=numbers(evidence),
        answers=on_page(audit.answers, SPEAKERS),
        others=on_page(audit.others, SPEAKERS),
        chosen_on=on_page(evidence.chosen_on, SPEAKERS),
        floors=FLOORS,
        splits=_SPLITS,
    )


def numbers(evidence: Evidence) -> list[tuple[str, str, str, Score]]:
    """Lists scores with people, modality and title, those of the people to forget first."""
    return [
        (_SPLITS[split], track, words.title(name), score)
        for split in _SPLITS
        for name in _SCORES
        for key, score in evidence.audit.scores.items()
        for of_split, track, of_name in (key.split("."),)
        if (of_split, of_name) == (split, name)
    ]
