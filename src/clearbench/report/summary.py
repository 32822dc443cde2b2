"""Prints the summary of a run: forgotten people, one question before and after, outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from clearbench.data.modality import modality, tracks_of
from clearbench.report.benchmark import answers_and_people, least
from clearbench.report.groups import Group, groups
from clearbench.report.rows import TableRow, main_table
from clearbench.report.words import person_words
from clearbench.runs.schema import AnyRow, CombinedRow, Details, Results, ShownQuestion

_WIDEST = 200
_SHOWN = {"forgot": "green", "undecided": "yellow"}


def print_summary(results: Results, details: Details, report_path: Path, console: Console) -> None:
    """Prints the summary of a finished run; plain text where the console is no terminal.

    Args:
        results: Results of the run.
        details: Its people, questions and answers.
        report_path: Path of its page.
        console: Console to print on.
    """
    all_groups = groups(results)
    names = [_plain(person.name) for person in details.people.get("forget", ())]
    console.print()
    console.print(Text(person_words(names), style="bold"))
    example = _example(details, all_groups)
    if example:
        console.print(_before_and_after(*example))
    console.print(_outcomes(all_groups))
    console.print()
    where = Text("Report: ", style="bold")
    console.print(where.append(_plain(str(report_path)), style="cyan"), soft_wrap=True)
    again = f"clearbench run {report_path.parent / 'recipe.yaml'} --out NEW-FOLDER"
    console.print(Text("Repeat: ", style="bold").append(_plain(again)), soft_wrap=True)


def _example(
    details: Details, all_groups: Sequence[Group]
) -> tuple[ShownQuestion, Group, AnyRow] | None:
    """Finds a question about a forgotten person, and the best run that answered it, faces first."""
    questions = [question for question in details.questions if question.split == "forget"]
    questions.sort(key=lambda question: modality(question.track).media is None)
    for question in questions:
        answered = [
            (_rank(row, question.track), row, group)
            for group in all_groups
            for row in main_table(group)
            if row.kind == "method" and not row.retrained and row.run.id in question.answers
        ]
        if answered:
            _, row, group = min(answered, key=lambda entry: entry[0])
            return question, group, row.run
    return None


def _rank(row: TableRow, track: str) -> tuple[bool, bool, float]:
    fits = track in tracks_of(row.run.modality)
    far = 9.0 if row.distance is None else row.distance
    return (not fits, row.outcome != "forgot", far)


def _before_and_after(question: ShownQuestion, group: Group, run: AnyRow) -> Padding:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    shown = modality(question.track).introduction
    named = next(row.name for row in main_table(group) if row.run is run)
    grid.add_row(Text(shown), Text(_plain(question.question), style="italic"))
    grid.add_row(Text("truth"), Text(_plain(question.truth)))
    answers = ((group.original, "before"), (run, f"after {_plain(named)}"), (group.gold, "gold"))
    for row, name in answers:
        if row is not None and row.id in question.answers:
            grid.add_row(Text(name), Text(_plain(question.answers[row.id]) or "(empty)"))
    return Padding(grid, (1, 0, 1, 2))


def _outcomes(all_groups: Sequence[Group]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("Did it forget?", overflow="fold")
    for title in ("distance", "kept", "quality", "utility"):
        table.add_column(title, justify="right", no_wrap=True)
    for group in all_groups:
        rows = [row for row in main_table(group) if row.kind == "method" and not row.retrained]
        table.add_row(_heading(group), Text(_against(group), style="dim"))
        table.add_row(Text(f"  {answers_and_people(group)}", style="dim"))
        for outcome in ("forgot", "undecided"):
            for row in rows:
                if row.outcome == outcome:
                    table.add_row(*_line(group, row))
        if not any(row.outcome == "forgot" for row in rows):
            table.add_row(Text("  nothing forgot"))
        others = ", ".join(_failing(row) for row in rows if row.outcome not in _SHOWN)
        if others:
            table.add_row(Text(f"  did not: {others}", style="dim"))
    return table


def _heading(group: Group) -> Text:
    text = Text(_plain(group.title), style="bold")
    return text.append(f"  mean of {group.seeds} seeds", style="dim") if group.seeds > 1 else text


def _against(group: Group) -> str:
    """Writes the distance of gold to another gold, with which other distances are compared."""
    null = group.null_distance
    return "" if null is None else f"gold to gold {null:.2f}"


def _line(group: Group, row: TableRow) -> tuple[Text, str, str, str, str]:
    kept = "" if row.kept is None else f"{row.kept:.0%}"
    name = Text(f"  {row.outcome}: {_plain(row.name)}", style=_SHOWN[row.outcome])
    if isinstance(row.run, CombinedRow):
        forgot = row.run.words.count("forgot")
        name.append(f"  {forgot} of {len(row.run.seeds)} seeds", style="dim")
    if row.verdict is not None and row.outcome == "undecided":
        name.append(f"  {_plain(row.verdict.reasons[0])}", style="dim")
    quality = least(row.run, group, "forget.{}.forget_quality")
    utility = least(row.run, group, "all.{}.model_utility")
    return (
        name,
        "" if row.distance is None else f"{row.distance:.2f}",
        kept,
        "" if quality is None else f"{quality:.1g}",
        "" if utility is None else f"{utility:.2f}",
    )


def _failing(row: TableRow) -> str:
    return _plain(row.name) + ("" if row.outcome == "did not" else f" ({row.outcome})")


def _plain(text: str) -> str:
    """Removes control characters, which could move the cursor or change colours; one short line."""
    clean = "".join(char if char.isprintable() else " " for char in text)
    clean = " ".join(clean.split())
    return clean if len(clean) <= _WIDEST else clean[: _WIDEST - 1] + "…"
