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
from clearbench.report.wording import wording_of
from clearbench.report.words import person_words
from clearbench.runs.schema import AnyRow, CombinedRow, Details, Results, ShownQuestion

_WIDEST = 200
_HEADS = ("distance", "kept", "quality", "utility")
_SHOWN = {"forgot": "green", "undecided": "yellow"}


def print_summary(results: Results, details: Details, report_path: Path, console: Console) -> None:
    """Prints the summary of a finished run; plain text where the console is no terminal.

    Args:
        results: Results of the run.
        details: Its people, questions and answers.
        report_path: Path of its page.
        console: Console to print on.
    """
    all_groups = groups(results, wording_of(results, details))
    names = [plain(person.name) for person in details.people.get("forget", ())]
    console.print()
    console.print(Text(person_words(names), style="bold"))
    example = _example(details, all_groups)
    if example:
        console.print(_before_and_after(*example))
    _print_outcomes(all_groups, console)
    console.print()
    where = Text("Report: ", style="bold")
    console.print(where.append(plain(str(report_path)), style="cyan"), soft_wrap=True)
    again = f"clearbench run {report_path.parent / 'recipe.yaml'} --out NEW-FOLDER"
    console.print(Text("Repeat: ", style="bold").append(plain(again)), soft_wrap=True)


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
    grid.add_row(Text(shown), Text(plain(question.question), style="italic"))
    grid.add_row(Text("truth"), Text(plain(question.truth)))
    answers = ((group.original, "before"), (run, f"after {plain(named)}"), (group.gold, "gold"))
    for row, name in answers:
        if row is not None and row.id in question.answers:
            grid.add_row(Text(name), Text(plain(question.answers[row.id]) or "(empty)"))
    return Padding(grid, (1, 0, 1, 2))


def _print_outcomes(all_groups: Sequence[Group], console: Console) -> None:
    """Prints a line of numbers for each run that forgot or is undecided, and names the others."""
    console.print(_numbers(console, Text("Did it forget?", style="dim"), _HEADS, style="dim"))
    for group in all_groups:
        rows = [row for row in main_table(group) if row.kind == "method" and not row.retrained]
        console.print(_heading(group))
        for outcome in _SHOWN:
            for row in rows:
                if row.outcome == outcome:
                    console.print(_numbers(console, _named(row), _judged(group, row)))
                    if row.verdict is not None and outcome == "undecided":
                        console.print(_note(row.verdict.reasons[0], 4))
        if not any(row.outcome == "forgot" for row in rows):
            console.print(Text("  nothing forgot"))
        others = ", ".join(_failing(row) for row in rows if row.outcome not in _SHOWN)
        if others:
            console.print(_note(f"did not: {others}", 2))
        for note in (answers_and_people(group), _against(group)):
            if note:
                console.print(_note(note, 2))


def _numbers(console: Console, name: Text, numbers: Sequence[str], style: str = "") -> Table:
    """Lays a name and numbers out in the same columns on every line."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=max(20, console.width - 1 - 10 * len(numbers)), overflow="fold")
    for _ in numbers:
        table.add_column(width=9, justify="right", no_wrap=True, style=style)
    table.add_row(name, *numbers)
    return table


def _note(text: str, indent: int) -> Padding:
    return Padding(Text(plain(text), style="dim"), (0, 0, 0, indent))


def _heading(group: Group) -> Text:
    text = Text(plain(group.title), style="bold")
    return text.append(f"  mean of {group.seeds} seeds", style="dim") if group.seeds > 1 else text


def _against(group: Group) -> str:
    """Writes the distance of gold to another gold, with which other distances are compared."""
    null = group.null_distance
    return "" if null is None else f"gold to gold {null:.2f}"


def _named(row: TableRow) -> Text:
    name = Text(f"  {row.outcome}: {plain(row.name)}", style=_SHOWN[row.outcome])
    if isinstance(row.run, CombinedRow):
        forgot = row.run.words.count("forgot")
        name.append(f"  {forgot} of {len(row.run.seeds)} seeds", style="dim")
    return name


def _judged(group: Group, row: TableRow) -> tuple[str, ...]:
    """Writes the numbers of a run, in the order of their heads."""
    quality = least(row.run, group, "forget.{}.forget_quality")
    utility = row.run.value(f"all.{group.tracks[0]}.model_utility")
    return (
        "" if row.distance is None else f"{row.distance:.2f}",
        "" if row.kept is None else f"{row.kept:.0%}",
        "" if quality is None else f"{quality:.1g}",
        "" if utility is None else f"{utility:.2f}",
    )


def _failing(row: TableRow) -> str:
    return plain(row.name) + ("" if row.outcome == "did not" else f" ({row.outcome})")


def plain(text: str, widest: int | None = _WIDEST) -> str:
    """Removes control characters, which could move the cursor or change colours; one short line.

    Args:
        text: Text from data.
        widest: Characters beyond which it is cut; None for all of it.
    """
    clean = "".join(char if char.isprintable() else " " for char in text)
    clean = " ".join(clean.split())
    return clean if widest is None or len(clean) <= widest else clean[: widest - 1] + "…"
