"""Collects the tables and figures of every group of runs on the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from clearbench.report import curves, tables
from clearbench.report.attacked import Attacked, attacked
from clearbench.report.benchmark import BenchmarkTable, benchmark_tables
from clearbench.report.groups import Group, curve_row, run_label
from clearbench.report.rows import TableRow, columns, main_table
from clearbench.report.scores import ScoreTable, score_tables
from clearbench.report.tradeoff import tradeoff
from clearbench.runs.schema import AnyRow, Details, Results


@dataclass(frozen=True)
class Panel:
    """One small figure of a run.

    Attributes:
        note: Words with a number about it.
    """

    name: str
    run: AnyRow
    figure: Markup
    note: str = ""


@dataclass(frozen=True)
class Section:
    """Tables and figures of one group of runs.

    Attributes:
        sentence: Sentence on the methods that forgot.
        columns: Score keys of the main table.
        benchmark: Published numbers, by track.
        side: Score keys of side effects, by track.
        truths: Figures of truth ratios, by track.
        curves: Figures of training.
        attacked: What attacks found; None where there were none.
    """

    group: Group
    sentence: str
    columns: tuple[str, ...]
    benchmark: tuple[BenchmarkTable, ...]
    side: dict[str, tuple[str, ...]]
    rows: tuple[TableRow, ...]
    tradeoff: Markup
    truths: tuple[tuple[str, tuple[Panel, ...]], ...]
    curves: tuple[Panel, ...]
    seeds: tuple[tables.SeedRow, ...]
    scores: tuple[ScoreTable, ...]
    attacked: Attacked | None

    @property
    def null_distance(self) -> float | None:
        """Distance of gold to another gold; None with one gold."""
        return self.group.null_distance

    @property
    def runs(self) -> list[TableRow]:
        """Rows of methods, without the anchors."""
        return [row for row in self.rows if row.kind == "method"]


def section(group: Group, results: Results, details: Details, palette: dict[str, str]) -> Section:
    """Collects the section of one group.

    Args:
        group: Group of runs.
        results: All results, for the single runs of rows over several seeds.
        details: Details with truth ratios.
        palette: Colour of every method.
    """
    rows = main_table(group)
    runs = [row.run for row in rows if row.kind == "method"]
    trained = (curves.training_curve(curve_row(results, run), palette) for run in runs)
    known = group.wording.scores
    truths = ((track, _truths(group, runs, details, track, palette)) for track in group.tracks)
    return Section(
        group=group,
        sentence=tables.sentence(group),
        columns=columns(group),
        benchmark=benchmark_tables(group),
        side=tables.side_columns(group),
        rows=rows,
        tradeoff=Markup(tradeoff(rows, palette, group.null_distance)),  # noqa: S704
        truths=tuple((track, panels) for track, panels in truths if panels),
        curves=_panels(group, runs, trained),
        seeds=tables.seed_table(group, results),
        scores=score_tables(rows, known),
        attacked=attacked(group, results, palette, known),
    )


def _truths(
    group: Group, runs: Sequence[AnyRow], details: Details, track: str, palette: dict[str, str]
) -> tuple[Panel, ...]:
    drawn = (curves.truth_curves(details, group, run, track, palette) for run in runs)
    return tuple(
        replace(panel, note=curves.ks_note(details, group, panel.run, track))
        for panel in _panels(group, runs, drawn)
    )


def _panels(
    group: Group, runs: Sequence[AnyRow], figures: Iterable[str | None]
) -> tuple[Panel, ...]:
    """Builds figures with the names of their runs. Matplotlib has escaped every text in them."""
    return tuple(
        Panel(run_label(run, group), run, Markup(figure))  # noqa: S704
        for run, figure in zip(runs, figures, strict=True)
        if figure
    )
