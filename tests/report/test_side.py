"""Side effects have a table of their own in the report."""

from __future__ import annotations

from typing import Any

from clearbench.report.groups import Group, groups
from clearbench.report.html import render
from clearbench.report.measures import measure
from clearbench.report.rows import columns
from clearbench.report.tables import SIDE_EFFECTS, side_columns
from clearbench.runs.schema import Details, Results
from clearbench.runs.wording import wording

#: Told apart from every other number on the page.
SEEN = {"side.text.kl_from_original": 3.57, "side.image.false_recognition": 0.6875}


def a_score(value: float) -> dict[str, Any]:
    return {"value": value, "n": 8, "clusters": 8, "direction": "down"}


def page_of(results: dict[str, Any], details: dict[str, Any]) -> str:
    return render(Results.parse(results, "results"), Details.parse(details, "details"))


def grouped(results: dict[str, Any]) -> tuple[Group, ...]:
    parsed = Results.parse(results, "results")
    return groups(parsed, wording(parsed))


def test_every_side_effect_has_its_column(results: dict[str, Any], details: dict[str, Any]) -> None:
    wanted = ("original", "gold", "npo")
    results["rows"] = [row for row in results["rows"] if row["method"] in wanted]
    for row in results["rows"]:
        row["curve"] = []
        if row["model"] == "vision-language":
            row["scores"] |= {key: a_score(value) for key, value in SEEN.items()}
    by_model = {group.model: group for group in grouped(results)}
    assert side_columns(by_model["vision-language"]) == {
        "text": ("side.text.kl_from_original",),
        "image": ("side.image.false_recognition",),
    }
    assert side_columns(by_model["language"]) == {}
    page = page_of(results, details | {"truth_ratios": {}})
    section = page[page.index('<section id="side">') : page.index('<section id="scores">')]
    assert section.count(">3.57<") == section.count(">0.69<") > 3
    assert SIDE_EFFECTS["false_recognition"] in section
    assert "Declines harmful requests" not in section, "what nobody measured has no column"


def test_without_side_effects_there_is_no_section(results: dict[str, Any]) -> None:
    assert '<section id="side">' not in page_of(results | {"rows": []}, {})


def test_controls_stand_beside_the_scores(results: dict[str, Any]) -> None:
    """Images only: nobody is judged on them, and what nobody measured has no column."""
    key = "forget.image.name_choice_blank"
    (before,) = (g for g in grouped(results) if g.modality == "both")
    for row in results["rows"]:
        row["scores"][key] = a_score(0.4)
    (after,) = (g for g in grouped(results) if g.modality == "both")
    assert columns(after) == (*columns(before), key)
    assert measure(key) == "Right name chosen, blank picture"
