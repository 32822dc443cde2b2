"""Looking after finished runs: what is there, is it whole, are two of them the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clearbench.runs.run import RESULTS
from clearbench.storage import read_json

#: What may differ between two equal runs.
FREE = ("cost", "environment")


def _results(path: Path) -> dict[str, Any]:
    file = path / RESULTS if path.is_dir() else path
    return dict(read_json(file))


def list_runs(folder: Path) -> list[tuple[str, str, int, int]]:
    """Folder, recipe, rows and rows that are not ok, for every run below `folder`."""
    found = []
    for path in sorted(folder.rglob(RESULTS)):
        results = _results(path)
        bad = sum(row["status"] != "ok" for row in results["rows"])
        name = str(path.parent.relative_to(folder))
        found.append((name, results["recipe"]["name"], len(results["rows"]), bad))
    return found


def show_run(folder: Path) -> list[tuple[str, ...]]:
    """Id, status, the forget probabilities and the reason of every row."""

    def number(row: dict[str, Any], key: str) -> str:
        found = row["scores"].get(key)
        return f"{found['value']:.3f}" if found else ""

    return [
        (
            row["id"],
            row["status"],
            number(row, "forget.text.probability"),
            number(row, "forget.image.probability"),
            row["reason"],
        )
        for row in _results(folder)["rows"]
    ]


def differences(first: Path, second: Path, limit: int = 20) -> list[str]:
    """Where two results differ, leaving out what may."""
    found: list[str] = []
    _compare(_results(first), _results(second), "", found)
    return found[:limit]


def _compare(first: Any, second: Any, where: str, found: list[str]) -> None:
    if isinstance(first, dict) and isinstance(second, dict):
        for key in sorted(set(first) | set(second)):
            if key in FREE:
                continue
            if key not in first or key not in second:
                found.append(f"{where}.{key}: only in one")
            else:
                _compare(first[key], second[key], f"{where}.{key}", found)
    elif isinstance(first, list) and isinstance(second, list):
        if len(first) != len(second):
            found.append(f"{where}: {len(first)} and {len(second)} entries")
        for index, (a, b) in enumerate(zip(first, second, strict=False)):
            _compare(a, b, f"{where}[{index}]", found)
    elif first != second:
        found.append(f"{where}: {first!r} and {second!r}")
