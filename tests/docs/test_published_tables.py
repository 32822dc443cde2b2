"""Published numbers stand alone, or beside those of a run of the same recipe on the same base."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from clearbench.runs.recipe_file import builtin_recipes


def test_every_table_names_a_recipe_and_a_number_a_column(
    docs_script: Callable[[str], ModuleType],
) -> None:
    script = docs_script("write_published")
    for table in script.yaml.safe_load(script.TABLES.read_text("utf-8")):
        assert table["recipe"] in builtin_recipes()
        assert {len(numbers) for numbers in table["rows"].values()} == {len(table["columns"])}


def test_numbers_of_a_run_stand_beside_the_published_ones(
    docs_script: Callable[[str], ModuleType], finished_run: Path
) -> None:
    script = docs_script("write_published")
    assert script.page([]).count(script.NOT_RUN) == 7
    content = json.loads((finished_run / "results.json").read_text("utf-8"))
    model = next(iter(content["recipe"]["models"]))
    table: dict[str, Any] = {
        "title": "T", "source": "S", "recipe": content["recipe"]["name"], "model": model,
        "base": "own", "columns": {}, "rows": {"original": [0.25]},
    }  # fmt: skip
    content["recipe"]["models"][model]["source"] = "her/own"
    results = script.Results.model_validate(content)
    assert script._is_of(results, table) and not script._is_of(results, table | {"base": "other"})
    row = next(row for row in results.rows if row.method == "original" and row.model == model)
    key, score = next(iter(row.scores.items()))
    table["columns"] = {"P": key}
    value = score.value
    assert f"| original | 0.25 / {value:.2g} |" in script._table(table, [row])
    assert "| original | 0.25 |" in script._table(table, [])


def test_the_page_is_what_the_script_writes(docs_script: Callable[[str], ModuleType]) -> None:
    script = docs_script("write_published")
    assert script.FILE.read_text("utf-8") == script.page([])
