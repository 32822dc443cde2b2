"""Numbers of the page and the summary: rounded as said, and each in its own place."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clearbench.report import html, words
from clearbench.report.answers import answered_questions
from clearbench.report.benchmark import least
from clearbench.report.colours import colours
from clearbench.report.curves import ks_note
from clearbench.report.groups import Group, groups
from clearbench.report.html import PAGE, _spot
from clearbench.report.page_code import page_code
from clearbench.report.private import public_facts, without_paths
from clearbench.report.refresh import refresh_page
from clearbench.report.rows import Cell, TableRow, columns, interval, main_table
from clearbench.report.sections import section
from clearbench.report.summary import _judged, plain, print_summary
from clearbench.report.tables import methods
from clearbench.report.tradeoff import _place
from clearbench.runs.schema import Details, Results
from clearbench.runs.wording import wording

Json = dict[str, Any]


@pytest.fixture
def checked(results: Json) -> Results:
    """Golds .06 apart on text and .2 on images, as their null band says."""
    golds = [row["id"] for row in results["rows"] if row["method"] == "gold"][:2]
    gaps = {"forget.text.probability": 0.06, "forget.image.probability": 0.2}
    bands = {key: {"low": 0.0, "high": 1.0, "gap": gap, "pairs": 2} for key, gap in gaps.items()}
    band = {"model": "vision-language", "share": 0.2, "golds": golds, "bands": bands}
    return Results.parse(results | {"null_bands": [band]}, "results")


@pytest.fixture
def group(checked: Results) -> Group:
    """The vision-language model that was to forget both tracks."""
    return next(each for each in groups(checked, wording(checked)) if each.modality == "both")


def by_method(group: Group) -> dict[str, TableRow]:
    return {row.run.method: row for row in main_table(group) if row.kind == "method"}


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (words.decimals, 0.126, "0.13"),
        (words.decimals, -0.004, "0.00"),
        (words.percent, -0.004, "0%"),
        (words.decimals, None, words.NONE),
        (words.digits, 0.001234, "0.00123"),
        (words.percent, 0.126, "13%"),
        (words.percent, None, words.NONE),
        (words.size, 123_456_789, "123 MB"),
        (words.size, 999, "999 B"),
        (words.amount, 1_810_000, "1.81 M"),
        (words.seconds, 7.25, "7.2 s"),
        (words.seconds, 59, "59 s"),
        (words.seconds, 125, "2 min 05 s"),
        (words.seconds, 5400, "1.5 h"),
        (words.seconds, None, words.NONE),
    ],
)
def test_numbers_are_written_as_said(form: Any, value: float | None, text: str) -> None:
    assert form(value) == text


def test_a_point_stays_on_its_line() -> None:
    assert [_spot(value) for value in (-1.0, 0.0, 0.5, 1.0, 3.0)] == [4, 4, 59, 114, 114]


def test_every_cell_has_its_own_gold_original_and_gap(group: Group) -> None:
    """Gold has .37 and .28, the original .92 and .94; golds lie .06 and .2 apart."""
    (row,) = (row for row in main_table(group) if row.run.method == "dpo")
    cells = dict(zip(columns(group), row.cells, strict=True))
    text, image = cells["forget.text.probability"], cells["forget.image.probability"]
    first = next(gold for gold in group.golds if gold.first_seed == 0)
    assert group.gold is first
    for cell, gold, original, gap in ((text, 0.37, 0.92, 0.06), (image, 0.28, 0.94, 0.2)):
        assert (cell.gold, cell.original, cell.gap) == (
            pytest.approx(gold), pytest.approx(original), gap,
        )  # fmt: skip
        assert cell.null_band == (pytest.approx(gold - gap), pytest.approx(gold + gap))
        assert cell.score is not None
        assert cell.interval == (cell.score.low, cell.score.high)
        assert cell.interval[0] < cell.score.value < cell.interval[1]
    assert Cell(None, 0.5, None).null_band is None and interval(None) is None


def test_runs_stand_by_their_word_and_distance_and_a_broken_one_is_not_judged(
    group: Group,
) -> None:
    rows = [row for row in main_table(group) if row.kind == "method"]
    outcomes = [row.outcome for row in rows]
    assert outcomes == sorted(outcomes, key=["forgot", "undecided", "did not", "diverged"].index)
    for word in ("forgot", "did not"):
        near = [row.distance for row in rows if row.outcome == word]
        assert near and near == sorted(near, key=lambda distance: distance or 0.0)
    broken = by_method(group)["gradient_ascent"]
    judged = broken.run.model_copy(update={"verdict": group.runs[1].verdict})
    again = Group(group.model, group.modality, group.original, group.golds, (judged,))
    (row,) = (row for row in main_table(again) if row.kind == "method")
    assert (broken.outcome, row.outcome, row.verdict) == ("diverged", "diverged", None)


def test_what_is_kept_is_the_least_and_gold_is_as_far_as_the_farthest(group: Group) -> None:
    rows = by_method(group)
    verdict = rows["dpo"].verdict
    assert verdict is not None
    own = next(finding for finding in verdict.findings if finding.kind == "kept")
    other = own.model_copy(update={"key": "retain.image.probability", "estimate": 0.5})
    hurt = verdict.model_copy(update={"findings": (*verdict.findings, other)})
    row = TableRow("x", "method", rows["dpo"].run, (), hurt)
    assert row.kept == 0.5 and _place(row)[1] == 0.5
    far = [
        gold.model_copy(update={"verdict": gold.verdict and _left(gold.verdict, left)})
        for gold, left in zip((group.golds[0], *[group.golds[1]] * 2), (0.9, 0.1, 0.3), strict=True)
    ]
    assert Group("m", "both", None, tuple(far), ()).null_distance == pytest.approx(0.3)


def _left(verdict: Any, left: float) -> Any:
    found = [
        finding.model_copy(update={"estimate": left}) if finding.kind == "left" else finding
        for finding in verdict.findings
    ]
    return verdict.model_copy(update={"findings": tuple(found)})


def test_two_tracks_are_told_by_the_lesser_and_utility_is_the_first_tracks(group: Group) -> None:
    row = by_method(group)["dpo"]
    low = dict(row.run.scores)
    for key, number in (
        ("forget.text.forget_quality", 0.2), ("forget.image.forget_quality", 0.004),
        ("all.text.model_utility", 0.61), ("all.image.model_utility", 0.33),
    ):  # fmt: skip
        low[key] = low["all.text.model_utility"].model_copy(update={"value": number})
    run = row.run.model_copy(update={"scores": low})
    assert least(run, group, "forget.{}.forget_quality") == 0.004
    told = TableRow("x", "method", run, (), row.verdict)
    assert _judged(group, told) == (f"{row.distance:.2f}", f"{row.kept:.0%}", "0.004", "0.61")
    image = Group(group.model, "image", group.original, group.golds, (run,))
    assert _judged(image, told)[3] == "0.33"


def test_ratios_are_of_their_own_track_and_answers_of_the_reference(
    checked: Results, group: Group, details: Json
) -> None:
    shown = Details.parse(details, "details")
    run = by_method(group)["dpo"].run
    text, image = (shown.ratios(run.id, track) for track in ("text", "image"))
    assert text != image and len(text) == len(image) == 40
    assert ks_note(shown, group, run, "text") != ks_note(shown, group, run, "image")
    palette = colours(methods(groups(checked, wording(checked))))
    part = section(group, checked, shown, palette)
    for question in answered_questions(shown.questions, [part]):
        for _, answers in question.answers:
            kinds = [answer.kind for answer in answers]
            assert kinds.count("gold") == kinds.count("original") == 1
            assert kinds[:2] == ["original", "gold"]


def test_the_example_is_of_the_best_run(checked: Results, details: Json) -> None:
    out = io.StringIO()
    shown = Details.parse(details, "details")
    console = Console(file=out, width=160)
    print_summary(checked, shown, Path("report.html"), console)
    rows = [
        row
        for each in groups(checked, wording(checked))
        for row in main_table(each)
        if row.kind == "method"
    ]
    named = {row.outcome for row in rows if f"after {row.name} " in out.getvalue()}
    assert named and "forgot" in named
    told = [row for row in rows if f"after {row.name} " in out.getvalue()]
    assert min(row.distance or 0.0 for row in told) < 0.1


def test_a_page_is_written_again_where_results_are_newer(
    results: Json, details: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html, "render", lambda *_: "new")
    Results.parse(results, "results").write(tmp_path / "results.json")
    Details.parse(details, "details").write(tmp_path / "details.json")
    page = tmp_path / PAGE
    kept = f"kept, drawn by {page_code()}"
    page.write_text(kept)
    assert refresh_page(tmp_path) == page and page.read_text() == kept
    page.write_text("drawn by other files")
    assert refresh_page(tmp_path).read_text() == "new", "though it is newer than the results"
    for name in ("results.json", "details.json"):
        page.write_text(kept)
        later = page.stat().st_mtime_ns + 10**9
        os.utime(tmp_path / name, ns=(later, later))
        assert refresh_page(tmp_path).read_text() == "new", name
        os.utime(tmp_path / name, ns=(0, 0))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot read /home/kim/runs/rows.jsonl: gone", "cannot read rows.jsonl: gone"),
        ("C:\\Users\\kim\\rows.jsonl", "rows.jsonl"),
        ("a loss of 1.5 / 2", "a loss of 1.5 / 2"),
    ],
)
def test_paths_are_cut_to_names(text: str, shown: str) -> None:
    assert without_paths(text) == shown


def test_nothing_private_is_a_fact() -> None:
    facts = {
        "python": "3",
        "user_name": "kim",
        "home-dir": "x",
        "packages": {"a": "1", "path": "y"},
    }
    assert dict(public_facts(facts)) == {"python": "3", "packages · a": "1"}


def test_names_cannot_move_the_cursor() -> None:
    assert plain("Ann\x1b[2J\n Lee\x07") == "Ann [2J Lee"
