"""Writes the report as one self-contained page: no network, no foreign script, text escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment

from clearbench.data.modality import modalities
from clearbench.evaluation.verdict.words import basis, subject
from clearbench.report import tables, words
from clearbench.report.answers import SPLITS, answered_questions
from clearbench.report.colours import colours
from clearbench.report.groups import groups, settings_line
from clearbench.report.measures import failed_metrics, measure
from clearbench.report.page import inline, templates
from clearbench.report.page_code import page_code
from clearbench.report.private import image, public_facts, without_paths
from clearbench.report.ranks import rank_table
from clearbench.report.scores import glossary
from clearbench.report.sections import Section, section
from clearbench.report.wording import wording_of
from clearbench.runs.files import PAGE
from clearbench.runs.schema import Details, Results, Wording, read_details, read_results
from clearbench.storage import MANIFEST, seal_more, write_bytes

_COUNTED = {
    "known": "Only rows that the original knew count.",
    "known_by_sight": "Only rows that the original knew count, and of those with a picture only "
    "what it did not know from a blank one.",
}
_AIMS = {"up": "more is better", "down": "less is better", "gold": "the aim is gold's value"}


def write_report(results: Results, details: Details, out: Path) -> None:
    """Writes the report as one HTML file; equal inputs give equal bytes.

    Args:
        results: Results of a run.
        details: People, questions with answers, and truth ratios of the run.
        out: File to write.
    """
    write_bytes(out, render(results, details).encode())


def report(
    results: Results | Mapping[str, Any], out: str | Path, details: Details | None = None
) -> Path:
    """Writes the self-contained page of a run's results.

    Args:
        results: Results of a run, or the content of a `results.json`.
        out: File to write.
        details: People, answers and truth ratios of the run; None leaves them out.
    """
    checked = results if isinstance(results, Results) else Results.parse(dict(results), "results")
    write_report(checked, details or Details(), Path(out))
    return Path(out)


def write_page(folder: Path) -> Path:
    """Writes the page of a run's folder from the results in it.

    Raises:
        StorageError: The results are missing or damaged.
    """
    page = folder / PAGE
    write_report(read_results(folder), read_details(folder), page)
    if (folder / MANIFEST).is_file():
        seal_more(folder, PAGE)
    return page


def render(results: Results, details: Details) -> str:
    """Renders the report as text.

    Args:
        results: Results of a run.
        details: People, questions with answers, and truth ratios of the run.
    """
    wording = wording_of(results, details)
    all_groups = groups(results, wording)
    palette = colours(tables.methods(all_groups))
    sections = [section(group, results, details, palette) for group in all_groups]
    script, style = (inline(name) for name in ("report.js", "report.css"))
    recipe, known = results.recipe, wording.scores
    return (
        _environment(wording)
        .get_template("report.html.j2")
        .render(
            page_code=page_code(),
            script=script,
            style=style,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            title=recipe.title or recipe.name or "Unlearning report",
            description=recipe.description,
            counted=_COUNTED.get(recipe.evaluation.eligible, ""),
            people=details.people,
            sections=sections,
            failed_metrics=failed_metrics(results),
            first=_first(sections),
            outcomes=[row.outcome for part in sections for row in part.runs if not row.retrained],
            scoreboard=tables.scoreboard(all_groups),
            glossary=glossary((table for part in sections for table in part.scores), known),
            questions=answered_questions(details.questions, sections),
            palette=palette,
            ranks=[rank_table(ranks, known) for ranks in results.rank_correlations],
            environment=list(public_facts(results.environment.model_dump(mode="json"))),
        )
    )


def _first(sections: Sequence[Section]) -> str:
    """Finds the group shown first: text and faces together, if any run tried that."""
    both = [section for section in sections if section.group.modality == "both"]
    return next((section.group.key for section in (*both, *sections)), "")


def _environment(wording: Wording) -> Environment:
    environment, titles = templates(), wording.titles
    environment.filters |= {
        "decimals": words.decimals,
        "digits": words.digits,
        "percent": words.percent,
        "seconds": words.seconds,
        "size": words.size,
        "amount": words.amount,
        "measure": measure,
        "image": image,
        "label": lambda name: words.method_label(name, wording),
        "settings": settings_line,
        "subject": lambda finding: subject(finding, titles),
        "basis": basis,
        "spot": lambda value: f"{_spot(value):.1f}",
        "width": lambda band: f"{max(_spot(band[1]) - _spot(band[0]), 2.0):.1f}",
        "strength": lambda value: f"{55 * abs(value):.0f}",
    }
    environment.globals |= _constants()
    return environment


def _constants() -> dict[str, Any]:
    return {
        "listed": words.person_words,
        "headings": {name: entry.heading or name for name, entry in modalities().items()},
        "tracks": {name: entry.title or name for name, entry in modalities().items()},
        "aims": _AIMS,
        "side_effects": tables.SIDE_EFFECTS,
        "splits": SPLITS,
        "marks": {"forgot": "✓", "undecided": "○"},
        "tests": {"holds": "✓", "open": "○", "fails": "✕"},
        "without_paths": without_paths,
    }


def _spot(value: float) -> float:
    """Computes the position of a share on the small line of a cell."""
    return 4 + 110 * min(max(value, 0.0), 1.0)
