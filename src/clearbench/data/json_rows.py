"""Reads rows from JSON: a row per line, arrays, or an object that holds an array."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Line = dict[str, Any]

#: Names under which a single object may hold the rows.
_HOLDERS = ("data", "rows", "examples", "train")


class _Fields(dict[str, Any]):
    """An object's fields; JSON allows a name twice, of which others keep the last alone.

    Attributes:
        twice: Names that are there twice, here or in an object inside.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.twice = {name for name in names if names.count(name) > 1}
        for _, value in pairs:
            for inner in value if isinstance(value, list) else [value]:
                self.twice |= inner.twice if isinstance(inner, _Fields) else set()


_DECODER = json.JSONDecoder(object_pairs_hook=_Fields)


def objects(text: str) -> Iterator[tuple[int | str, Line | str]]:
    """Yields each row's place and fields, or what is wrong with it.

    Places are lines from 1 where every row has its line, `row 1`, `row 2` and so on where an array
    or an object goes over several.
    """
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if _goes_over_lines(text, [line for _, line in lines]):
        alone = len(lines) == 1
        for number, value in enumerate(_values(text), 1):
            yield number if alone else f"row {number}", value
        return
    for number, line in lines:
        yield number, _row(_parsed(line))


def _goes_over_lines(text: str, lines: list[str]) -> bool:
    """Whether rows are values of arrays or of one object, not a line each."""
    first = text.lstrip()[:1]
    if first != "{":
        return first == "["
    value = _parsed(lines[0])
    if isinstance(value, dict):
        return len(lines) == 1 and _held(value) is not None
    if isinstance(_parsed(text), dict):
        return True
    return not any(isinstance(_parsed(line), dict) for line in lines[1:])


def _values(text: str) -> Iterator[Line | str]:
    """Yields the rows of arrays and objects that follow each other, over any number of lines."""
    place = 0
    while place < len(text):
        if text[place].isspace() or (text[place] == "," and place):
            place += 1
            continue
        try:
            value, place = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            yield _complaint(error)
            return
        held = _held(value)
        values = value if isinstance(value, list) else [value] if held is None else held
        yield from map(_row, values)


def _held(value: Any) -> list[Any] | None:
    """Returns the rows of an object that holds them under one of the usual names."""
    if not isinstance(value, dict):
        return None
    lists = [each for name, each in value.items() if name in _HOLDERS and isinstance(each, list)]
    return lists[0] if len(lists) == 1 else None


def _parsed(line: str) -> Any:
    try:
        return _DECODER.decode(line.strip())
    except (ValueError, RecursionError) as error:
        return error


def _row(value: Any) -> Line | str:
    if isinstance(value, Exception):
        return _complaint(value)
    if not isinstance(value, dict):
        return f"{json.dumps(value, ensure_ascii=False)[:60]} is no object with named fields"
    if isinstance(value, _Fields) and value.twice:
        return f"the field {', '.join(map(repr, sorted(value.twice)))} is there twice"
    return dict(value)


def _complaint(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return f"is no JSON: {error}"
