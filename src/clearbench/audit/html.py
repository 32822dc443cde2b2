"""Writes an audit as JSON and as one self-contained page without any script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clearbench.audit import words
from clearbench.audit.answers import Speaker, on_page
from clearbench.audit.figures import bars, curve
from clearbench.audit.schema import (
    AUDIT,
    AttackCurve,
    Audit,
    Finding,
    MadeAttack,
    Topic,
)
from clearbench.report.answers import SPLITS
from clearbench.report.colours import GOLD, ORIGINAL, PALETTE
from clearbench.report.page import inline, templates
from clearbench.storage import write_bytes

PAGE = "audit.html"
#: What each section asks, in the words of who reads it.
QUESTIONS: dict[Topic, str] = {
    "told": "Does it still tell what it was taught of the people?",
    "known": "Does it still know it, whatever it says?",
    "recovery": "Can it be made to know it again?",
    "membership": "Can a stranger tell that the people were in the training data?",
    "refusals": "How does it speak of the people?",
    "lost": "What else was lost?",
    "side effects": "What else changed?",
}


#: Models whose answers the page shows.
SPEAKERS = (
    Speaker("this model", "method", "answer"),
    Speaker("never met them", "gold", "gold"),
    Speaker("before unlearning", "original", "original"),
)


@dataclass(frozen=True)
class PageSection:
    """A question of the page with its findings and figures."""

    topic: str
    question: str
    findings: tuple[Finding, ...]
    figures: tuple[str, ...]


def write_audit(audit: Audit, folder: Path) -> Path:
    """Writes `audit.json` and `audit.html` into a folder; returns the page.

    Args:
        audit: What was found.
        folder: Folder, which is made where it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    audit.write(folder / AUDIT)
    page = folder / PAGE
    write_bytes(page, render(audit).encode())
    return page


def render(audit: Audit) -> str:
    """Renders the page as text; equal audits give equal bytes."""
    environment = templates()
    environment.filters |= {
        "percent": words.percent,
        "ends": lambda number: words.between(number.low, number.high),
        "amount": words.count,
    }
    return environment.get_template("audit.html.j2").render(
        audit=audit,
        style=inline("report.css"),
        sections=_sections(audit),
        curves=_curves(audit.attacks),
        answers=on_page(audit.answers, SPEAKERS),
        others=on_page(audit.others, SPEAKERS),
        splits=SPLITS,
        colours={"gold": GOLD, "original": ORIGINAL, "model": PALETTE[0]},
        thresholds=_thresholds(audit),
    )


def _sections(audit: Audit) -> list[PageSection]:
    sections = []
    for topic, question in QUESTIONS.items():
        found = audit.about(topic)
        drawn = (bars(each.numbers, f"{topic} {k}") for k, each in enumerate(found))
        if found:
            figures = tuple(figure for figure in drawn if figure)
            sections.append(PageSection(topic, question, found, figures))
    return sections


def _curves(attacks: Sequence[MadeAttack]) -> list[tuple[str, str]]:
    drawn = ((_titled(made, each), curve(each)) for made in attacks for each in made.curves)
    return [(title, figure) for title, figure in drawn if figure]


def _titled(made: MadeAttack, drawn: AttackCurve) -> str:
    """Writes the title of a curve; one with another key says what is other in it."""
    key = drawn.key.rpartition(".")[2]
    return made.title if key == made.key else made.titles.get(_recovery_of(key), key)


def _recovery_of(key: str) -> str:
    stem, _, end = key.rpartition("_")
    return f"{stem}_recovery_{end}"


def _thresholds(audit: Audit) -> list[tuple[str, float, str]]:
    """Lists the thresholds with what they mean, from the documentation of their class."""
    listed = re.findall(r"^ {8}(\w+): (.+(?:\n {12}.+)*)", type(audit.settings).__doc__ or "", re.M)
    meaning = {name: " ".join(text.split()) for name, text in listed}
    return [
        (name, value, meaning.get(name, "")) for name, value in audit.settings.model_dump().items()
    ]
