"""Protocols say what they are, and the page of errata says what they carry."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from clearbench.catalogue import catalogue
from clearbench.errors import RecipeError
from clearbench.evaluation.aggregates import AGGREGATES
from clearbench.evaluation.errata import ERRATA, carried, errata
from clearbench.evaluation.logs.read import read_log
from clearbench.evaluation.metric import metrics
from clearbench.evaluation.protocols import CLEAR, protocol, protocols

DOCS = Path(__file__).parents[2] / "docs"
NAMES = ["clear", "clear-code", "clear-code-text", "tofu", "openunlearning", "clear-vqa"]


def test_every_protocol_is_listed_with_its_defects(clearbench: Callable[..., Any]) -> None:
    rows = json.loads(clearbench("list", "protocols", "--json").stdout)
    assert [row["name"] for row in rows] == NAMES
    by_name = {row["name"]: row for row in rows}
    assert all(row["shows"] and row["version"] >= 1 for row in rows)
    assert by_name["clear"]["defects"] == by_name["tofu"]["defects"] == []
    assert [line.split(":")[0] for line in by_name["clear-code"]["defects"]] == [
        "E01", "E02", "E03", "E17",
    ]  # fmt: skip


def test_every_aggregate_is_listed_as_a_metric() -> None:
    parts = {key for each in protocols().values() for key in each.parts}
    assert {each.name for each in AGGREGATES} == {key.rpartition(".")[2] for key in parts}
    rows = {row["name"]: row for row in catalogue("metrics")}
    assert set(rows) == set(metrics()) | {each.name for each in AGGREGATES}
    for row in rows.values():
        assert row["shows"] and row["needs"] and row["directions"] and row["ideal"]
        assert len(row["range"]) == 2 and row["version"] >= 1
    utility = rows["model_utility"]
    assert len(utility["parts"]["tofu all.text.model_utility"]) == 9
    assert rows["clear_forget"]["ideal"] == "gold's value"


def test_the_list_explains_in_words(clearbench: Callable[..., Any]) -> None:
    told = clearbench("list", "protocols", COLUMNS="100").stdout
    for each in protocols().values():
        assert " ".join(each.shows.split()) in " ".join(told.split())
        for defect in carried(each.name).values():
            assert f"{defect.id}: {defect.does.split('.')[0]}" in " ".join(told.split())


def test_an_unknown_protocol_is_refused_with_a_hint() -> None:
    with pytest.raises(RecipeError, match="did you mean 'clear-code'"):
        protocol("clear-cod")


@pytest.mark.parametrize("name", NAMES)
def test_a_protocols_metrics_exist_and_its_parts_can_be_computed(name: str) -> None:
    chosen = protocols()[name]
    suffixes = {made.score_key for made in chosen.metrics()}
    parts = {part for parts in chosen.parts.values() for part in parts}
    assert {part.split(".")[2] for part in parts} <= suffixes
    assert {key.split(".")[2] for key in chosen.required} - suffixes <= {
        key.split(".")[2] for key in chosen.parts
    }


def test_a_defective_metric_belongs_to_a_protocol_that_carries_its_erratum() -> None:
    """Of every case of a defect some protocol has a configuration, and carries the erratum."""
    used = {(made.name, made.case): p for p in protocols().values() for made in p.metrics()}
    defective = [
        (name, case) for name, cls in metrics().items() for case in cls.cases.values()
        if case.erratum
    ]  # fmt: skip
    assert len(defective) == 8 and not any(cls.erratum for cls in metrics().values())
    for each in defective:
        assert each[1].erratum in carried(used[each].name)
    assert not any(made.description.erratum for made in CLEAR.metrics())


#: First and last number of every subject's errata; none is left out between them.
NUMBERS = [(1, 18), (20, 43), (50, 64), (70, 82), (100, 118), (120, 144)]


def test_the_errata_are_complete_and_in_order() -> None:
    expected = [f"E{number:02}" for low, high in NUMBERS for number in range(low, high + 1)]
    assert [each.id for each in ERRATA] == expected
    assert all(each.where and each.does and each.right for each in ERRATA)
    assert list(errata("E79", "E01")) == ["E01", "E79"]
    assert {name for each in ERRATA for name in each.carried_by} <= set(NAMES)


def test_the_page_of_errata_holds_the_words_of_every_defect() -> None:
    text = (DOCS / "errata.md").read_text()
    for each in ERRATA:
        assert f"### {each.id}: {each.where}\n" in text
        assert each.does in text and each.right in text and each.effect in text


def test_the_page_of_errata_holds_the_values_on_the_real_log(
    oracles: Path, docs_script: Callable[[str], ModuleType]
) -> None:
    module = docs_script("write_errata")
    records, gold = (read_log(oracles / module.LOG.format(name)) for name in ("full", "retain90"))
    assert module.page(records, gold) == (DOCS / "errata.md").read_text(), (
        "run docs/write_errata.py"
    )
