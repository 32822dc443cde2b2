"""One self-contained page: no network, no foreign script, every text shown as text."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from clearbench.data.modality import modalities
from clearbench.evaluation.verdict import must_keep
from clearbench.report import plots, ranks, tables
from clearbench.report.results import (
    Details,
    Group,
    Question,
    Run,
    groups,
    image,
    method_label,
    public_facts,
    read_rows,
    run_label,
    without_paths,
)
from clearbench.storage import write_bytes

_TEMPLATES = Path(__file__).parent / "templates"
_SPLITS = {
    "forget": "to be forgotten",
    "retain": "to be kept",
    "holdout": "never taught",
    "real_faces": "well known",
    "real_authors": "well known",
    "real_world": "world knowledge",
}
_COUNTED = {
    "known": "Only rows that the original knew count.",
    "known_by_sight": "Only rows that the original knew count, and of those with a picture only "
    "what it did not know from a blank one.",
}
_NONE = "\N{EN DASH}"


@dataclass(frozen=True)
class Panel:
    """One small figure with the run it shows, and a number about it."""

    name: str
    run: Run
    figure: Markup
    note: str = ""


@dataclass(frozen=True)
class Section:
    """Everything the page shows about one group of runs."""

    group: Group
    sentence: str
    columns: tuple[str, ...]
    kept: tuple[str, ...]
    side: dict[str, tuple[str, ...]]
    rows: tuple[tables.TableRow, ...]
    tradeoff: Markup
    truths: tuple[tuple[str, tuple[Panel, ...]], ...]
    curves: tuple[Panel, ...]
    seeds: tuple[tables.SeedRow, ...]

    @property
    def null_distance(self) -> float | None:
        """The distance of gold to another gold; None with one gold."""
        return next((row.null_distance for row in self.rows if row.null_distance is not None), None)

    @property
    def runs(self) -> list[tables.TableRow]:
        """The rows of methods, without the anchors."""
        return [row for row in self.rows if row.kind == "method"]


@dataclass(frozen=True)
class Answer:
    """What one run answered: pieces of text, each with whether it gives the truth away."""

    name: str
    kind: str
    outcome: str
    method: str
    pieces: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Asked:
    """One question with the answers of every group that was asked."""

    question: Question
    image: str | None
    about: str
    answers: tuple[tuple[Section, tuple[Answer, ...]], ...]


def write_report(results: Mapping[str, Any], details: Mapping[str, Any], path: Path) -> None:
    """Writes the report as one HTML file; equal inputs give equal bytes.

    Args:
        results: What `results.json` holds.
        details: What `details.json` holds: people, questions with answers, truth ratios.
        path: The file to write.
    """
    write_bytes(Path(path), render(results, details).encode())


def render(results: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """The report as text.

    Args:
        results: What `results.json` holds.
        details: What `details.json` holds.
    """
    told = Details.model_validate(details)
    all_groups = groups(results)
    rows = {row.id: row for row in read_rows(results)}
    palette = plots.colours(tables.methods(all_groups))
    sections = [_section(group, told, rows, palette) for group in all_groups]
    script = Markup((_TEMPLATES / "report.js").read_text(encoding="utf-8").strip())  # noqa: S704
    style = Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8").strip())  # noqa: S704
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    recipe = results.get("recipe") or {}
    template = _environment().get_template("report.html.j2")
    return template.render(
        script=script,
        style=style,
        script_hash=digest,
        title=recipe.get("title") or recipe.get("name") or "Unlearning report",
        description=recipe.get("description") or "",
        counted=_COUNTED.get(str((recipe.get("evaluation") or {}).get("eligible")), ""),
        people=told.people,
        sections=sections,
        first=_first(sections),
        outcomes=[row.outcome for section in sections for row in section.runs],
        scoreboard=tables.scoreboard(all_groups),
        questions=[asked for each in told.questions if (asked := _asked(each, sections)).answers],
        palette=palette,
        ranks=[
            ranks.RankTable.model_validate(each) for each in results.get("rank_correlations", ())
        ],
        environment=list(public_facts(results.get("environment") or {})),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "decimals": lambda value: _NONE if value is None else f"{value:.2f}",
        "percent": lambda value: _NONE if value is None else f"{value:.0%}",
        "seconds": seconds,
        "size": lambda value: _scaled(value, ("B", "kB", "MB", "GB", "TB")),
        "amount": lambda value: _scaled(value, ("", "k", "M", "G", "T")),
        "measure": tables.measure,
        "image": image,
        "label": method_label,
        "settings": tables.hyperparameters,
        "spot": lambda value: f"{_spot(value):.1f}",
        "width": lambda band: f"{max(_spot(band[1]) - _spot(band[0]), 2.0):.1f}",
        "strength": lambda value: f"{55 * abs(value):.0f}",
    }
    environment.globals |= {
        "listed": tables.person_words,
        "rates": tables.rates,
        "headings": {name: each.heading or name for name, each in modalities().items()},
        "tracks": {name: each.title or name for name, each in modalities().items()},
        "side_effects": tables.SIDE_EFFECTS,
        "splits": _SPLITS,
        "bars": must_keep("vision-language") | must_keep("classifier"),
        "without_paths": without_paths,
    }
    return environment


def _section(
    group: Group, details: Details, singles: Mapping[str, Run], palette: dict[str, str]
) -> Section:
    rows = tables.main_table(group)
    runs = [row.run for row in rows if row.kind == "method"]

    def truths(track: str) -> tuple[Panel, ...]:
        drawn = (plots.truth_curves(details, group, run, track, palette) for run in runs)
        return tuple(
            replace(panel, note=plots.ks_note(details, group, panel.run, track))
            for panel in _panels(group, runs, drawn)
        )

    return Section(
        group=group,
        sentence=tables.sentence(group),
        columns=tables.columns(group),
        kept=tables.kept_columns(group),
        side=tables.side_columns(group),
        rows=rows,
        tradeoff=Markup(plots.tradeoff(rows, palette)),  # noqa: S704
        truths=tuple((track, found) for track in group.tracks if (found := truths(track))),
        curves=_panels(group, runs, (plots.training_curve(run, palette) for run in runs)),
        seeds=tables.seed_table(group, singles),
    )


def _panels(group: Group, runs: Iterable[Run], figures: Iterable[str | None]) -> tuple[Panel, ...]:
    """Figures with the names of their runs. Matplotlib has escaped every text in them."""
    return tuple(
        Panel(run_label(run, group.runs), run, Markup(figure))  # noqa: S704
        for run, figure in zip(runs, figures, strict=True)
        if figure
    )


def _first(sections: list[Section]) -> str:
    """The group shown first: text and faces together, if anybody tried that."""
    both = [section for section in sections if section.group.modality == "both"]
    return next((section.group.key for section in (*both, *sections)), "")


def _asked(question: Question, sections: list[Section]) -> Asked:
    answers = tuple((section, _answers(question, section)) for section in sections)
    return Asked(
        question=question,
        image=image(question.image),
        about=_SPLITS.get(question.split, question.split),
        answers=tuple((section, found) for section, found in answers if found),
    )


def _answers(question: Question, section: Section) -> tuple[Answer, ...]:
    """Original, then gold, then the methods; none where no method of the group was asked."""
    order = {"original": 0, "gold": 1, "method": 2}
    rows = [row for row in section.rows if row.run.id in question.answers]
    rows = [row for row in rows if row.kind != "gold" or row.run is section.group.gold]
    if not any(row.kind == "method" for row in rows):
        return ()
    rows.sort(key=lambda row: order[row.kind])
    return tuple(
        Answer(row.name, row.kind, row.outcome, row.run.method, revealed(question, row.run.id))
        for row in rows
    )


def revealed(question: Question, run_id: str) -> tuple[tuple[str, bool], ...]:
    """An answer in pieces: those that are words of the truth which the question did not give.

    Args:
        question: The question with its truth and answers.
        run_id: Whose answer to cut.
    """
    secret = _words(question.truth) - _words(question.question)
    pieces: list[tuple[str, bool]] = []
    for piece in re.split(r"(\w+)", question.answers[run_id]):
        hit = piece.casefold() in secret
        joins = bool(pieces) and (pieces[-1][1] == hit or (pieces[-1][1] and piece.isspace()))
        if joins:
            pieces[-1] = (pieces[-1][0] + piece, pieces[-1][1])
        elif piece:
            pieces.append((piece, hit))
    return tuple(pieces)


def _words(text: str) -> set[str]:
    """The words that carry something: numbers, and words of four letters or more."""
    words = re.findall(r"\w+", text.casefold())
    return {word for word in words if len(word) > 3 or any(c.isdigit() for c in word)} - _EMPTY


_EMPTY = {"this", "that", "with", "from", "were", "been", "have", "which", "their", "about"}


def _spot(value: float) -> float:
    """Where a share stands on the small line of a cell."""
    return 4 + 110 * min(max(value, 0.0), 1.0)


def seconds(value: float | None) -> str:
    """A duration as one would say it."""
    if value is None:
        return _NONE
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes / 60:.1f} h"


def _scaled(value: float | None, units: tuple[str, ...]) -> str:
    if value is None:
        return _NONE
    for unit in units[:-1]:
        if abs(value) < 1000:
            return f"{value:.3g} {unit}".strip()
        value /= 1000
    return f"{value:.3g} {units[-1]}"
