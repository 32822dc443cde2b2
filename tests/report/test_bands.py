"""The null band, seeds and rank correlations in the report and in the terminal."""

from __future__ import annotations

import copy
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clearbench.attacks.scoring import descriptions
from clearbench.report.curves import ks_note
from clearbench.report.groups import Group, groups
from clearbench.report.html import render
from clearbench.report.ranks import rank_table
from clearbench.report.rows import main_table
from clearbench.report.summary import print_summary
from clearbench.report.tables import seed_table
from clearbench.runs.compare import combined
from clearbench.runs.schema import Details, RankCorrelation, Results, Row
from clearbench.runs.wording import wording

Json = dict[str, Any]
JUDGED = ("forget.text.probability", "forget.image.probability", "forget.image.name_choice")


@pytest.fixture
def banded(results: Json) -> Json:
    """Two golds of the vision-language model, .06 apart on everything that is judged."""
    results["rows"] = [row for row in results["rows"] if row["modality"] == "both"]
    golds = [row["id"] for row in results["rows"] if row["method"] == "gold"]
    bands = {key: {"low": 0.0, "high": 1.0, "gap": 0.06, "pairs": 2} for key in JUDGED}
    band = {"model": "vision-language", "share": 0.2, "golds": golds, "bands": bands}
    results["null_bands"] = [band]
    return results


def checked(results: Json, details: Json) -> tuple[Results, Details]:
    return Results.parse(results, "results"), Details.parse(details, "details")


def grouped(results: Json) -> tuple[Group, ...]:
    parsed = Results.parse(results, "results")
    return groups(parsed, wording(parsed))


def page_of(results: Json, details: Json) -> str:
    return render(*checked(results, details))


def terminal(results: Json, details: Json) -> str:
    out = io.StringIO()
    print_summary(*checked(results, details), Path("report.html"), Console(file=out, width=120))
    return out.getvalue()


def test_the_distance_of_another_gold_is_said(banded: Json, details: Json) -> None:
    """The second gold has .04 left on both tracks."""
    (group,) = grouped(banded)
    assert group.null_distance == pytest.approx(0.04)
    rows = {row.run.method: row for row in main_table(group) if row.kind == "method"}
    assert rows["npo"].cells[0].null_band == pytest.approx((0.31, 0.43))
    page = page_of(banded, details)
    assert "gold to gold 0.04" in page and "golds 0." in page
    assert "gold to gold 0.04" in terminal(banded, details)


def test_a_gold_is_judged_on_what_the_group_forgot(results: Json) -> None:
    """The verdict on text and faces, read for text alone, holds no finding on faces."""
    found = {group.modality: group for group in grouped(results) if group.model != "language"}
    gold = found["text"].golds[1]
    verdict = found["text"].verdict(gold)
    assert verdict is not None and verdict.modality == "text"
    assert [f.key for f in verdict.findings] == [
        "forget.text.probability", "retain.text.probability",
    ]  # fmt: skip
    both = found["both"].verdict(gold)
    assert both is not None and len(both.findings) == 3


def test_what_guessing_gives_is_drawn(banded: Json, details: Json) -> None:
    dotted = 'stroke-dasharray="1.5 1.5"'
    assert dotted not in page_of(banded, details)
    for row in banded["rows"]:
        score = {"value": 0.5, "chance": 0.25, "n": 8, "clusters": 8, "direction": "gold"}
        row["scores"]["forget.image.letter_choice"] = score
    page = page_of(banded, details)
    assert "Right letter given for a picture" in page
    assert page.count(dotted) == page.count("guessing 0.25") == page.count(">0.50<svg") > 0


def test_one_gold_has_no_band(results: Json) -> None:
    alone = [group for group in grouped(results) if len(group.golds) == 1]
    assert alone and all(group.null_distance is None for group in alone)


def test_ks_beside_that_of_the_other_gold(banded: Json, details: Json) -> None:
    (group,) = grouped(banded)
    gold, other = group.golds
    run = group.runs[1]
    details["truth_ratios"] |= {
        gold.id: {"forget.text": [1, 2, 3, 4]},
        other.id: {"forget.text": [3, 4, 5, 6]},
        run.id: {"forget.text": [5, 6]},
    }
    told = Details.parse(details, "details")
    assert ks_note(told, group, run, "text") == "KS 1.00, golds 0.50"


@pytest.mark.parametrize("golds", [1, 2])
def test_a_gold_is_not_compared_with_itself(golds: int, banded: Json, details: Json) -> None:
    """Where gold is alone, or no other has ratios, there is nothing to say of golds."""
    (group,) = grouped(banded)
    group, run = replace(group, golds=group.golds[:golds]), group.runs[1]
    details["truth_ratios"] = {
        group.golds[0].id: {"forget.text": [1, 2, 3, 4]}, run.id: {"forget.text": [2, 3]},
    }  # fmt: skip
    told = Details.parse(details, "details")
    assert ks_note(told, group, run, "text") == "KS 0.25"
    assert ks_note(told, group, run, "image") == ""


def over_seeds(results: Json) -> Json:
    """Every row once more with seed 5, as a run of two seeds would leave it."""
    rows = [row for row in results["rows"] if not row["id"].endswith("gold-both-1")]
    rows += [
        copy.deepcopy(row) | {"id": f"{row['id']}-seed5", "seed": 5}
        for row in rows
        if row["modality"] == "both"
    ]
    for row in rows:
        ours = (each for each in rows if each["method"] == "gold" and each["seed"] == row["seed"])
        row["gold"] = next(ours)["id"]
    return results | {"rows": rows, "combined": over(rows)}


def over(rows: list[Json]) -> list[Json]:
    means = combined([Row.model_validate(row) for row in rows])
    return [row.model_dump(mode="json") for row in means]


def test_seeds_are_one_row_and_each_is_shown(banded: Json, details: Json) -> None:
    results = over_seeds(banded)
    (group,) = grouped(results)
    assert group.seeds == 2 and len(group.golds) == 1
    assert [row.name for row in main_table(group)][:2] == ["Gold", "Original"]
    page = page_of(results, details)
    assert "mean of 2 seeds" in page and "<th>Seed 5</th>" in page
    assert "mean of 2 seeds" in terminal(results, details)
    (diverged,) = [row for row in results["combined"] if row["status"] == "diverged"]
    assert diverged["reason"].startswith("seed 0: ")


def test_the_table_of_seeds(banded: Json, verdicts: Any) -> None:
    results = over_seeds(banded)
    for row in results["rows"]:
        if row["id"].startswith("vision-language-npo-both"):
            seed = row["seed"]
            row["verdict"] = verdicts("vision-language", "both", 0.1 + seed / 10, 0.9)
    results["combined"] = over(results["rows"])
    (group,) = grouped(results)
    table = seed_table(group, Results.parse(results, "results"))
    (npo,) = [each for each in table if each.row.run.method == "npo"]
    assert npo.single == ((0, 0.1, "forgot"), (5, 0.6, "did not"))
    assert npo.row.distance == pytest.approx(0.35) and npo.forgot == 1
    assert npo.row.outcome == "undecided", "seeds differ"


def test_ranks_in_words(few_ranks: Json, details: Json) -> None:
    (table,) = (
        rank_table(RankCorrelation(**entry), descriptions())
        for entry in few_ranks["rank_correlations"]
    )
    assert table.title == "Vision-language · text, 6 runs"
    assert table.names == ("forgotten: probability", "kept: ROUGE-L")
    page = page_of(few_ranks, details)
    assert "Do the metrics agree?" in page and "-0.25" in page


@pytest.fixture
def few_ranks(banded: Json) -> Json:
    """One small matrix."""
    banded["rank_correlations"] = [
        {"model": "vision-language", "track": "text", "runs": 6,
         "metrics": ["forget.text.probability", "retain.text.rouge_l"],
         "spearman": [[1.0, -0.25], [-0.25, 1.0]]}
    ]  # fmt: skip
    return banded


def test_gaps_are_those_of_the_golds_band(banded: Json) -> None:
    results = Results.parse(banded, "results")
    second = results.null_bands[0].golds[1]
    assert results.null_gaps(second) == dict.fromkeys(JUDGED, 0.06)
    assert results.null_gaps("another gold") == {}
