"""The published numbers of the page and the summary, from hand-made results."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from clearbench.report.benchmark import answers_and_people, benchmark_tables, least
from clearbench.report.groups import groups
from clearbench.report.html import render
from clearbench.report.summary import print_summary
from clearbench.runs.schema import Details, Results
from clearbench.runs.wording import wording

Json = dict[str, Any]
TEXT = {
    "forget.text.rouge_l": 0.32, "forget.text.forget_quality": 3e-7, "all.text.clear_real": 0.52,
}  # fmt: skip
IMAGE = {"forget.image.forget_quality": 0.4, "all.image.model_utility": 0.0}


def measured(results: Json) -> Json:
    """Adds published numbers to the scores of every row."""
    for row in results["rows"]:
        if row["scores"]:
            like = next(iter(row["scores"].values()))
            row["scores"] |= {key: like | {"value": v} for key, v in (TEXT | IMAGE).items()}
    return results


def test_a_table_for_each_track_with_what_was_measured(results: Json) -> None:
    parsed = Results.parse(measured(results), "r")
    both = next(g for g in groups(parsed, wording(parsed)) if g.modality == "both")
    text, image = benchmark_tables(both)
    assert (text.track, image.track) == ("text", "image")
    assert [*text.columns] == [
        "forget.text.probability", "forget.text.rouge_l", "forget.text.forget_quality",
        "retain.text.probability", "all.text.model_utility", "all.text.clear_real",
    ]  # fmt: skip
    assert "all.image.model_utility" in image.columns
    run = next(run for run in both.runs if run.ok)
    assert least(run, both, "forget.{}.forget_quality") == 3e-7
    assert least(run, both, "nothing.{}") is None


def test_the_page_shows_them(results: Json, details: Json) -> None:
    page = render(Results.parse(measured(results), "r"), Details.parse(details, "d"))
    assert "Published numbers" in page and "Forget quality (KS p)" in page
    assert ">3e-07</td>" in page, "a small p-value is not 0.00"
    assert "clearbench run recipe.yaml --out" in page


def test_the_summary_fits_a_terminal_of_80_columns(results: Json, details: Json) -> None:
    out = io.StringIO()
    parsed = Results.parse(measured(results), "r"), Details.parse(details, "d")
    print_summary(*parsed, Path("demo/report.html"), Console(file=out, width=80))
    text = out.getvalue()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "…" not in text.split("Report:")[0].split("Did it forget?")[1]
    assert "quality" in text and "3e-07" in text
    assert "Repeat: clearbench run demo/recipe.yaml --out" in text


def test_what_verdicts_rest_on_is_said_once(results: Json) -> None:
    asked = {"people_forgotten": 4, "people_asked": {"text": 3}, "rows": {"text": 20}}
    for row in results["rows"]:
        if row.get("verdict"):
            row["verdict"]["rests_on"] = row["verdict"]["rests_on"] | asked
    parsed = Results.parse(results, "r")
    language = next(g for g in groups(parsed, wording(parsed)) if g.model == "language")
    assert answers_and_people(language) == "text: 20 answers about 3 of 4 forgotten people"
