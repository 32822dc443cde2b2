"""What attacks found, on the page: a table beside published numbers, curves, and what failed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from clearbench.report.attacked import attacked
from clearbench.report.colours import colours
from clearbench.report.groups import groups
from clearbench.report.html import render
from clearbench.report.tables import methods
from clearbench.report.vision_track import VISION_TRACK
from clearbench.runs.schema import Details, Results
from clearbench.runs.wording import wording

Json = dict[str, Any]
KEY = "forget.image.u_lira_halves_mad_method_accuracy"
RECOVERY = "forget.image.relearning_recovery"


def a_score(value: float, low: float | None = None, high: float | None = None) -> Json:
    return {"value": value, "low": low, "high": high, "n": 8, "clusters": 8, "direction": "gold"}


def a_point(level: str, value: float) -> Json:
    return {"level": level, "value": a_score(value)}


@pytest.fixture
def run(results: Json) -> Json:
    """Classifiers of a run, attacked in three ways."""
    about = copy.deepcopy(results)
    about["recipe"]["attacks"] = [
        {"attack": "relearning", "parameters": {}},
        {"attack": "u_lira", "parameters": {"estimator": "mad", "design": "halves"}},
    ]
    about["rows"] = [row for row in about["rows"] if row["model"] == "classifier"]
    for place, row in enumerate(about["rows"]):
        row["attacks"] = {KEY: a_score(0.9 - 0.1 * place), RECOVERY: a_score(0.25, 0.125, 0.375)}
        row["attack_curves"] = {"forget.image.relearning": [a_point("0", 0.1), a_point("5", 0.4)]}
        row["attack_drawings"] = {
            "forget.image.u_lira_halves_mad": {
                "false_positives": [0.001, 0.1, 1], "true_positives": [0.01, 0.5, 1],
                "right_by_image": [0.5, 0.75, 1.0],
            }
        }  # fmt: skip
    about["rows"][-1]["failed_attacks"] = {"prompts": "<b>no memory</b>"}
    return about


def test_the_table_has_titles_numbers_and_what_failed(run: Json) -> None:
    results = Results.parse(run, "test")
    (group,) = groups(results, wording(results))
    found = attacked(group, results, colours(methods([group])), wording(results).scores)
    assert found is not None
    assert {column.key: column.title for column in found.columns} == {
        KEY: "U-LIRA (halves, median and MAD): balanced accuracy of the method (image)",
        RECOVERY: "Relearning: recovered (image)",
    }
    assert all(column.shows for column in found.columns)
    last = results.rows[-1]
    assert found.scores[last.id][KEY].value == last.attacks[KEY].value
    assert [(attack, why) for _, attack, why in found.failed] == [("prompts", "<b>no memory</b>")]
    titles = [figure.title for figure in found.figures]
    assert titles == [
        "Relearning (image)",
        "U-LIRA (halves, median and MAD) (image)",
        "U-LIRA (halves, median and MAD) (image), image by image",
    ]
    assert all("<svg" in figure.figure for figure in found.figures)


def test_the_page_shows_them_beside_published_numbers(run: Json) -> None:
    page = render(Results.parse(run, "test"), Details())
    assert "What attacks bring back" in page
    assert "0.25 <small>0.12 to 0.38</small>" in page
    assert "<b>no memory</b>" not in page and "&lt;b&gt;no memory" in page
    assert VISION_TRACK["gold"][KEY] == 0.5 and VISION_TRACK["original"][KEY] == 1.0
    assert page.count(">CLEAR ") == 2  # of original and gold; it has no plain ascent


@pytest.mark.parametrize("worst", [0.25, 0.5])
def test_the_worst_level_has_a_column_where_it_is_not_the_only_one(run: Json, worst: float) -> None:
    key = f"{RECOVERY}_worst"
    for row in run["rows"]:
        row["attacks"][key] = a_score(0.25, 0.125, 0.375)
    run["rows"][-1]["attacks"][key]["value"] = worst
    results = Results.parse(run, "test")
    (group,) = groups(results, wording(results))
    found = attacked(group, results, colours(methods([group])), wording(results).scores)
    assert found is not None
    assert (key in {column.key for column in found.columns}) is (worst != 0.25)


def test_no_attack_no_section(run: Json) -> None:
    for row in run["rows"]:
        for name in ("attack_curves", "attack_drawings", "failed_attacks"):
            row.pop(name, None)
        row["attacks"] = {}
    results = Results.parse(run, "test")
    (group,) = groups(results, wording(results))
    assert attacked(group, results, {}, {}) is None
    assert "What attacks bring back" not in render(results, Details())


def test_published_numbers_are_those_of_the_paper() -> None:
    """Table 5 of arXiv 2410.18057v4, as the fact sheet has it."""
    retain = VISION_TRACK["l1_sparse"]
    assert list(retain.values()) == [0.6641, 0.1444, 0.8357, 0.78, 0.73]
    assert len(VISION_TRACK) == 10
