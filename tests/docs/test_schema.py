"""docs/results.schema.json is what docs/write_schema.py writes, and what a run leaves fits it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from clearbench.runs.schema import Details, Results
from clearbench.storage import canonical_json

Json = dict[str, Any]
TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
    "number": (int, float), "null": type(None),
}  # fmt: skip


@pytest.fixture(scope="module")
def writer(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("write_schema")


def misfits(value: Any, schema: Json, root: Json, where: str = "") -> Iterator[str]:
    """Where a value does not fit the part of JSON Schema that pydantic writes."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        if all(list(misfits(value, option, root)) for option in schema["anyOf"]):
            yield f"{where}: {value!r}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{where}: {value!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r}"
    kind = schema.get("type")
    if kind and not isinstance(value, TYPES[kind]):
        yield f"{where}: {value!r} is no {kind}"
    elif kind == "object":
        yield from _object(value, schema, root, where)
    elif kind == "array":
        items = schema.get("prefixItems") or [schema.get("items", {})] * len(value)
        for place, (entry, item) in enumerate(zip(value, items, strict=True)):
            yield from misfits(entry, item, root, f"{where}[{place}]")


def _object(value: Json, schema: Json, root: Json, where: str) -> Iterator[str]:
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    yield from (f"{where}.{key} is missing" for key in set(schema.get("required", ())) - set(value))
    for key, entry in value.items():
        if key in known:
            yield from misfits(entry, known[key], root, f"{where}.{key}")
        elif isinstance(more, dict):
            yield from misfits(entry, more, root, f"{where}.{key}")
        elif not more:
            yield f"{where}.{key} is unknown"


def test_the_file_is_up_to_date(writer: ModuleType) -> None:
    assert writer.FILE.read_text(encoding="utf-8") == canonical_json(writer.json_schema())


def test_what_a_run_leaves_fits_and_is_written_by_the_classes(
    writer: ModuleType, finished_run: Path
) -> None:
    schema = json.loads(writer.FILE.read_text(encoding="utf-8"))
    files: tuple[tuple[type[Results | Details], str], ...] = (
        (Results, "results.json"), (Details, "details.json"),
    )  # fmt: skip
    for cls, name in files:
        text = (finished_run / name).read_text(encoding="utf-8")
        part = schema["$defs"][cls.__name__]
        assert list(misfits(json.loads(text), part, schema)) == []
        assert canonical_json(cls.read(finished_run / name).json_value()) == text


def test_misfits_are_seen(writer: ModuleType, finished_run: Path) -> None:
    schema = json.loads(writer.FILE.read_text(encoding="utf-8"))
    content = json.loads((finished_run / "results.json").read_text(encoding="utf-8"))
    row = content["rows"][0]
    row["status"], row["novel"] = "fine", 1
    row["scores"]["forget.text.probability"]["value"] = "much"
    del row["seed"]
    assert sorted(problem.split(":")[0] for problem in misfits(content, schema, schema)) == [
        ".rows[0].novel is unknown", ".rows[0].scores.forget.text.probability.value",
        ".rows[0].seed is missing", ".rows[0].status",
    ]  # fmt: skip
