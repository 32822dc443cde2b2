"""Collects what attacks found on the runs of a group: a table, and curves over their levels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from clearbench.evaluation.description import Description
from clearbench.evaluation.score import Score
from clearbench.report.groups import Group, run_label
from clearbench.report.measures import measure, metric_words
from clearbench.report.panel import Panel, even_ticks, round_places, wider
from clearbench.report.vision_track import VISION_TRACK
from clearbench.runs.schema import AnyRow, Results, Row

#: Ends of keys that are read in the table; rates and counts stand in results.json.
_SHOWN = ("_recovery", "_worst", "_auc", "_accuracy", "_quality")
#: Levels beyond which their names are written aslant.
_LEVELS_IN_A_ROW = 4


@dataclass(frozen=True)
class AttackColumn:
    """One number of an attack.

    Attributes:
        key: Score key.
        title: Head of the column.
        shows: Paragraph on what it shows.
    """

    key: str
    title: str
    shows: str


@dataclass(frozen=True)
class AttackFigure:
    """One figure of an attack on all runs of a group.

    Attributes:
        title: Title and track.
        figure: Drawing.
    """

    title: str
    figure: Markup


@dataclass(frozen=True)
class Attacked:
    """Attacks on the runs of a group.

    Attributes:
        columns: Numbers that any run has.
        scores: Scores by row id and key.
        published: CLEAR's own numbers by method and key, where it has any of a column.
        figures: Figures of levels, rates and images.
        failed: Runs and attacks that gave nothing, and why.
    """

    columns: tuple[AttackColumn, ...]
    scores: Mapping[str, Mapping[str, Score]]
    published: Mapping[str, Mapping[str, float]]
    figures: tuple[AttackFigure, ...]
    failed: tuple[tuple[str, str, str], ...]


def attacked(
    group: Group, results: Results, palette: Mapping[str, str], known: Mapping[str, Description]
) -> Attacked | None:
    """Collects the attacks on a group's runs; None where there were none.

    Args:
        group: Group of runs.
        results: All results, for the single runs of rows over several seeds.
        palette: Colour of every method.
        known: Descriptions by the last part of keys.
    """
    rows = [row for row in map(_single(results), group.everything) if row is not None]
    scores = {row.id: row.attacks for row in rows}
    keys = dict.fromkeys(key for row in rows for key in row.attacks if key.endswith(_SHOWN))
    failed = tuple(
        (run_label(row, group), name, why)
        for row in rows
        for name, why in row.failed_attacks.items()
    )
    if not keys and not failed:
        return None
    shown = [key for key in keys if _about(key, group) and not _repeats(key, rows)]
    columns = tuple(_column(key, known) for key in shown)
    published = VISION_TRACK if group.model == "classifier" else {}
    figures = tuple(_figures(rows, group, palette, known))
    return Attacked(columns, scores, published, figures, failed)


def _single(results: Results) -> Any:
    return lambda run: run if isinstance(run, Row) else results.row(run.id)


def _about(key: str, group: Group) -> bool:
    return key.split(".")[1] in group.tracks


def _repeats(key: str, rows: Sequence[Row]) -> bool:
    """Whether a number at the worst level is the attack's plain number, for every row."""
    plain = key.removesuffix("_worst")
    mine = [(row.attacks.get(key), row.attacks.get(plain)) for row in rows]
    return key != plain and all(worst == only for worst, only in mine)


def _column(key: str, known: Mapping[str, Description]) -> AttackColumn:
    split, track, name = key.split(".")
    words = metric_words(name, known)
    if not words.group:
        return AttackColumn(key, measure(key), "")
    where = track if split == "forget" else f"{split}, {track}"
    return AttackColumn(key, f"{words.title} ({where})", words.shows)


def _figures(
    rows: Sequence[Row], group: Group, palette: Mapping[str, str], known: Mapping[str, Description]
) -> Iterator[AttackFigure]:
    drawn = [row for row in rows if row.ok]
    for key in dict.fromkeys(key for row in drawn for key in row.attack_curves):
        if _about(key, group):
            figure = _levels(key, drawn, palette)
            yield AttackFigure(_title(key, known, "recovery"), Markup(figure))  # noqa: S704
    for key in dict.fromkeys(key for row in drawn for key in row.attack_drawings):
        figure = _rates(key, drawn, palette)
        yield AttackFigure(_title(key, known, "method_auc"), Markup(figure))  # noqa: S704
        if any(
            row.attack_drawings[key].right_by_image for row in drawn if key in row.attack_drawings
        ):
            figure = _images(key, drawn, palette)
            title = f"{_title(key, known, 'method_auc')}, image by image"
            yield AttackFigure(title, Markup(figure))  # noqa: S704


def _title(key: str, known: Mapping[str, Description], number: str) -> str:
    _, track, name = key.split(".")
    own = name.removesuffix("_all")
    title = metric_words(f"{own}_{number}", known).title
    shown = "" if own == name else ", with the rows that it was shown"
    return f"{title.split(':')[0]} ({track}){shown}"


def _style(row: AnyRow, palette: Mapping[str, str]) -> str:
    width = 2.2 if row.method in ("gold", "original") else 1.4
    dashes = f";stroke-dasharray:{4 * width:g} {2 * width:g}" if row.method == "original" else ""
    return f"stroke:{palette[row.method]};stroke-width:{width:g}{dashes}"


def _levels(key: str, rows: Sequence[Row], palette: Mapping[str, str]) -> str:
    """Draws what each model knows of the forgotten people at every level of an attack."""
    found = {row.id: row.attack_curves[key] for row in rows if key in row.attack_curves}
    levels = [point.level for point in next(iter(found.values()), ())]
    lines = {
        id: [(levels.index(p.level), p.value.value) for p in points if p.level in levels]
        for id, points in found.items()
    }
    values = [value for points in lines.values() for _, value in points]
    panel = Panel(
        (216, 144),
        (30, 33, 6, 6),
        wider(range(len(levels)), 0.05),
        (0.0, wider(values, 0.05)[1]),
        names=("", "probability of the truth"),
        aslant=len(levels) > _LEVELS_IN_A_ROW,
    )
    for row in rows:
        points = lines.get(row.id, [])
        panel.line(points, _style(row, palette))
        panel.dots(points, palette[row.method])
    return panel.svg(list(enumerate(levels)), even_ticks(round_places(panel.y, 5), panel.y))


def _rates(key: str, rows: Sequence[Row], palette: Mapping[str, str]) -> str:
    """Draws rates of true positives over those of false ones, both in logarithms."""
    names = ("false positives", "true positives")
    panel = Panel((216, 173), (34, 30, 6, 6), (-3.0, 0.0), (-3.0, math.log10(1.1)), names)
    panel.line([(-3, -3), (0, 0)], "stroke:var(--line);stroke-width:1")
    for row in rows:
        if key in row.attack_drawings:
            drawing = row.attack_drawings[key]
            rates = zip(drawing.false_positives, drawing.true_positives, strict=True)
            logs = [(_log(false), _log(true)) for false, true in rates]
            panel.line(logs, _style(row, palette))
    powers = [(place, f"{10.0**place:g}") for place in (-3, -2, -1, 0)]
    return panel.svg(powers, powers)


def _log(rate: float) -> float:
    """Computes the logarithm of a rate; of 0 one that is far below the figure."""
    return math.log10(max(rate, 1e-9))


def _images(key: str, rows: Sequence[Row], palette: Mapping[str, str]) -> str:
    """Draws, for each run, how many images are decided rightly under so many of the models."""
    names = ("share of models under which it is decided rightly", "share of images")
    panel = Panel((216, 173), (34, 30, 6, 6), (0.0, 1.0), (0.0, 1.02), names)
    panel.line([(0.5, 0), (0.5, 1.02)], "stroke:var(--muted);stroke-width:.8;stroke-dasharray:2 2")
    for row in rows:
        if key in row.attack_drawings:
            shares = sorted(row.attack_drawings[key].right_by_image)
            heights = [(place + 1) / len(shares) for place in range(len(shares))]
            if shares:
                panel.steps(list(zip(shares, heights, strict=True)), _style(row, palette))
    fifths = even_ticks([0, 0.2, 0.4, 0.6, 0.8, 1], (0.0, 1.0))
    return panel.svg(fifths, fifths)
