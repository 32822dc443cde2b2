"""Every score that was computed is on the page, with all that belongs to it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from clearbench.evaluation.metric import metrics
from clearbench.report.groups import groups
from clearbench.report.html import render
from clearbench.report.measures import metric_words
from clearbench.report.rows import main_table
from clearbench.report.scores import score_tables
from clearbench.runs.schema import Details, Results
from clearbench.runs.wording import wording

Json = dict[str, Any]
#: Scores that were computed and found nowhere on the page before there was this section.
HIDDEN = {
    "forget.text.forget_quality": 3.21e-12,
    "all.text.model_utility": 0.4321,
    "all.text.clear_forget": 0.2345,
    "forget.text.min_k": 5.678,
    "forget.text.of_a_plugin": 12.34,
}


@pytest.fixture
def more(results: Json) -> Json:
    """The language model's runs with scores that belong in no table of their own."""
    results["rows"] = [row for row in results["rows"] if row["model"] == "language"]
    for place, row in enumerate(results["rows"]):
        for key, value in HIDDEN.items():
            row["scores"][key] = {
                "value": value * (1 + place), "low": value / 2, "high": value * 9,
                "n": 61 + place // 4, "clusters": 17, "direction": "gold", "version": 7,
                "gold": value * 2, "original": value,
            }  # fmt: skip
    return results


class Tables(HTMLParser):
    """The rows of the tables in the section of scores, as texts of their cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._inside = False
        start = page.index('<section id="scores">')
        self.feed(page[start : page.index("</section>", start)])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += f" {data.strip()}"


def page_of(results: Json) -> str:
    return render(Results.parse(results, "results"), Details())


def test_every_score_of_every_run_is_there_once(results: Json) -> None:
    checked = Results.parse(results, "results")
    for group in groups(checked, wording(checked)):
        tables = score_tables(main_table(group), wording(checked).scores)
        shown = [
            (row.run.id, line.key, cell[0], cell[1])
            for table in tables
            for line in table.lines
            for row, cell in zip(table.columns, line.cells, strict=True)
            if cell is not None
        ]
        computed = [
            (run.id, key, score.value, None if score.low is None else (score.low, score.high))
            for run in group.everything
            for key, score in run.scores.items()
        ]
        assert sorted(shown, key=str) == sorted(computed, key=str)
    assert {run.id for group in groups(checked, wording(checked)) for run in group.everything} == {
        row.id for row in checked.rows
    }, "every run belongs to a group"


def test_a_score_stands_with_all_that_belongs_to_it(more: Json) -> None:
    tables = Tables(page_of(more)).rows
    head = next(row for row in tables if "Gold" in " ".join(row))
    lines = [row for row in tables if " min_k " in row[0]]
    (line,) = (row for row in lines if "61 rows" in row[0])
    cells = dict(zip([name.strip() for name in head], line, strict=True))
    assert cells["Original"].split() == ["5.68", "2.84", "to", "51.1"]
    assert cells["Gold"].split() == ["11.4", "2.84", "to", "51.1"]
    for words in ("Min-K", "61 rows", "17 people", "version 7", "the aim is gold's value"):
        assert words in line[0]
    assert cells["NPO"].split()[0] == "17" and cells["DPO"].split()[0] == "22.7"


def test_runs_measured_on_other_rows_have_a_line_of_their_own(more: Json) -> None:
    """The fifth row was measured on 62 rows, the others on 61."""
    checked = Results.parse(more, "results")
    (group,) = groups(checked, wording(checked))
    tables = score_tables(main_table(group), wording(checked).scores)
    (table,) = (t for t in tables if (t.split, t.track) == ("all", "text"))
    lines = [line for line in table.lines if line.key == "all.text.clear_forget"]
    runs = {line.score.n: sum(cell is not None for cell in line.cells) for line in lines}
    assert runs == {61: 4, 62: 1}
    assert table.metrics == 2


def test_values_held_against_are_told_where_no_column_has_them(more: Json) -> None:
    more["rows"] = [row for row in more["rows"] if row["method"] != "gold"]
    page = page_of(more)
    assert "gold 0.469" in page and "original 0.234" not in page


def test_nothing_is_open_and_names_come_from_the_metrics(more: Json) -> None:
    page = page_of(more)
    section = page[page.index('<section id="scores">') : page.index('<section id="cost">')]
    assert section.count("<details") > 3 and not re.search(r"<details[^>]* open", section)
    text = " ".join(re.sub("<[^>]+>", "", section).split())
    assert metrics()["forget_quality"].shows.split(";")[0][:40] in text
    assert "Of a plugin" in text and "No description was found" in text


def test_configured_metrics_have_their_words(more: Json) -> None:
    """Variants of the protocol, a metric of the recipe with its own key, and one nobody knows."""
    more["recipe"]["evaluation"] = {
        "protocol": "clear",
        "metrics": [
            {"name": "min_k", "share": 0.2},
            {"name": "min_k", "share": 0.1, "key": "hardest"},
            {"name": "of_a_plugin"},
        ],
    }
    known = wording(Results.parse(more, "results")).scores
    plain = metric_words("min_k", known)
    assert plain.shows and plain.group
    for name in ("min_k_share_0_2", "hardest"):
        words = metric_words(name, known)
        assert words.shows == plain.shows and words.group == plain.group
        assert words.title.startswith(plain.title) and "share" in words.title
    assert metric_words("min_k_blank", known).title == f"{plain.title}, blank picture"
    assert metric_words("rouge_l_f1", known).shows
    assert metric_words("forget_quality_js", known).shows
    assert metric_words("model_utility", known).shows
    assert metric_words("of_a_plugin", known).shows == ""
    assert metric_words("rouge_x", known).title == "ROUGE-X"
