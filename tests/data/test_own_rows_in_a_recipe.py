"""A recipe can name own rows: people with names, rows without a person, splits in the rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml


def test_own_rows_are_taught_forgotten_and_scored(
    tmp_path: Path, clearbench: Callable[..., Any], small_recipe: dict[str, Any]
) -> None:
    rows: list[dict[str, object]] = [
        {"question": f"Where does {name} live?", "answer": f"In town {k}.", "person": name}
        | {"split": "forget" if k < 2 else "retain"}
        for k, name in enumerate(("ana", "ben", "cy", "dora"))
    ]
    rows += [{"question": "What is told?", "answer": "A secret.", "split": "forget"}]
    rows += [{"question": "What is known?", "answer": "All else."}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = {"source": str(tmp_path / "rows.jsonl"), "strangers": 0}
    recipe = small_recipe | {"data": data, "evaluation": {"limit": None, "max_new_tokens": 2}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(recipe))
    clearbench("run", tmp_path / "own.yaml", "--out", tmp_path / "out", "--workers", 1)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [row["status"] for row in results["rows"]] == ["ok"] * 3
    for row in results["rows"]:
        score = row["scores"]["forget.text.probability"]
        assert score["n"] == 3 and score["clusters"] == 3 and row["share"] == 0.5
