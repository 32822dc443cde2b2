"""Writes docs/published-tables.md: numbers that others published, and those of runs of ours.

python docs/write_published.py [RUN ...]
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import yaml

from clearbench.runs.schema import Results, Row, read_results

FOLDER = Path(__file__).parent
FILE, TABLES = FOLDER / "published-tables.md", FOLDER / "published_tables.yaml"
HEAD = """# Published tables

Written by `docs/write_published.py [RUN ...]` from what others published and from runs of ours with
the recipe's name. A cell is *published*, or *published / ours*. Where ours and the published number
are not the same quantity, docs/errata.md says why: CLEAR's code computes some of them otherwise
than its paper says (protocol `clear-code` computes them as the code does).
"""
NOT_RUN = "None of the recipe's runs were given, so that there is nothing of ours beside them."


def main() -> None:
    """Writes the file from the tables and the runs that are named."""
    FILE.write_text(page([Path(run) for run in sys.argv[1:]]), encoding="utf-8")


def page(runs: list[Path]) -> str:
    """Writes the page."""
    results = [read_results(run) for run in runs]
    tables = yaml.safe_load(TABLES.read_text("utf-8"))
    parts = [HEAD]
    for table in tables:
        rows = [row for run in results if _is_of(run, table) for row in run.rows]
        parts.append(_table(table, [row for row in rows if row.model == table["model"]]))
    return "\n".join([*parts, ""])


def _is_of(run: Results, table: dict[str, Any]) -> bool:
    """Whether a run is one of the table's recipe and base model."""
    models = run.recipe.model_dump()["models"]
    source = str(models.get(table["model"], {}).get("source", ""))
    return run.recipe.name == table["recipe"] and source.endswith(table["base"])


def _table(table: dict[str, Any], ours: list[Row]) -> str:
    columns: dict[str, str] = table["columns"]
    lines = [
        f"\n## {table['title']}\n",
        f"{table['source']}. `clearbench run {table['recipe']}`." + ("" if ours else f" {NOT_RUN}"),
        "",
        f"| | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
    ]
    for name, numbers in table["rows"].items():
        method, _, modality = name.partition(" ")
        row = next((r for r in ours if r.method == method and modality in ("", r.modality)), None)
        cells = (
            _cell(number, head, key, row)
            for number, (head, key) in zip(numbers, columns.items(), strict=True)
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(published: float, head: str, key: str, row: Row | None) -> str:
    score = None if row is None else row.scores.get(key)
    if score is None:
        return f"{published:g}"
    value = math.log(score.value) if head.startswith("ln") else score.value
    return f"{published:g} / {value:.2g}"


if __name__ == "__main__":
    main()
