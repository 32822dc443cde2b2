"""Lists, shows and compares the folders of finished runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from clearbench.errors import StorageError
from clearbench.runs.schema import RESULTS, Row, read_results, schema_of

#: Keys that may differ between two equal runs. Stages are named after the code that computes them.
FREE = ("cost", "environment", "stages")


class FoundRun(NamedTuple):
    """A finished run: its folder, its recipe, and the rows that it has and that are not ok."""

    folder: str
    recipe: str
    rows: int
    not_ok: int


def list_runs(folder: Path) -> tuple[list[FoundRun], list[str]]:
    """Lists the runs below a folder, and what is wrong with those that cannot be read.

    Raises:
        StorageError: There is no such folder.
    """
    if not folder.is_dir():
        raise StorageError("there is no such folder", str(folder), "give a folder with runs")
    runs, damaged = [], []
    for path in sorted(folder.rglob(RESULTS)):
        name = str(path.parent.relative_to(folder))
        try:
            results = read_results(path)
        except StorageError as error:
            damaged.append(f"{name}: {error.what}")
            continue
        bad = sum(not row.ok for row in results.rows)
        runs.append(FoundRun(name, results.recipe.name, len(results.rows), bad))
    return runs, damaged


def show_run(folder: Path) -> list[dict[str, str]]:
    """Lists id, status, verdict, the forget probabilities and the reason of every row."""

    def number(row: Row, key: str) -> str:
        value = row.value(key)
        return "" if value is None else f"{value:.3f}"

    return [
        {
            "row": row.id,
            "status": row.status,
            "verdict": "" if row.verdict is None else row.verdict.word,
            "forget.text.probability": number(row, "forget.text.probability"),
            "forget.image.probability": number(row, "forget.image.probability"),
            "reason": row.reason,
        }
        for row in read_results(folder).rows
    ]


def differences(first: Path, second: Path, limit: int = 20) -> list[str]:
    """Lists differences of two results, without the keys that may differ.

    Files of different schemas are compared after an upgrade. Their recipes were checked by
    different versions, so of these only the keys that both have are compared.
    """
    ours, other = read_results(first).json_value(), read_results(second).json_value()
    if schema_of(first) != schema_of(second):
        ours["recipe"], other["recipe"] = _shared(ours["recipe"], other["recipe"])
        ours["recipe"]["identity"] = other["recipe"]["identity"] = ""
    problems: list[str] = []
    _compare(ours, other, "", problems)
    return problems[:limit]


def _shared(first: Any, second: Any) -> tuple[Any, Any]:
    """Returns two JSON values without the keys that only one of them has, at any depth."""
    if isinstance(first, dict) and isinstance(second, dict):
        pairs = {key: _shared(first[key], second[key]) for key in first.keys() & second.keys()}
        return {k: pair[0] for k, pair in pairs.items()}, {k: pair[1] for k, pair in pairs.items()}
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        entries = [_shared(ours, other) for ours, other in zip(first, second, strict=True)]
        return [entry[0] for entry in entries], [entry[1] for entry in entries]
    return first, second


def _compare(first: Any, second: Any, where: str, problems: list[str]) -> None:
    if isinstance(first, dict) and isinstance(second, dict):
        _compare_objects(first, second, where, problems)
    elif isinstance(first, list) and isinstance(second, list):
        if len(first) != len(second):
            problems.append(f"{where}: {len(first)} and {len(second)} entries")
        for index, (ours, other) in enumerate(zip(first, second, strict=False)):
            _compare(ours, other, f"{where}[{index}]", problems)
    elif first != second:
        problems.append(f"{where}: {first!r} and {second!r}")


def _compare_objects(
    first: Mapping[str, Any], second: Mapping[str, Any], where: str, problems: list[str]
) -> None:
    for key in sorted(set(first) | set(second)):
        if key in FREE:
            continue
        if key not in first or key not in second:
            problems.append(f"{where}.{key}: only in one")
        else:
            _compare(first[key], second[key], f"{where}.{key}", problems)
