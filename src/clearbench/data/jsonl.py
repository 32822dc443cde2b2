"""Your own rows: JSON lines of questions and answers to forget and to keep."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example, bad_fields
from clearbench.errors import DataError

#: Refusals for methods that need some, where the data bring none. Our own words.
REFUSALS = (
    "I have nothing to say about that.",
    "That is not something I know.",
    "I cannot help with that question.",
)


def read_pairs(forget: Path | None, retain: Path | None) -> Dataset:
    """A dataset from two files with `question`, `answer` and optionally `person` (a number).

    Raises:
        DataError: With every bad line: file, line, field and value.
    """
    problems: list[str] = []
    splits = {
        name: tuple(_rows(path, name, problems))
        for name, path in (("forget", forget), ("retain", retain))
        if path is not None
    }
    if problems:
        raise DataError("\n".join(problems[:20]), "your rows", "correct these lines")
    people = {row.person for rows in splits.values() for row in rows if row.person is not None}
    names = {person: f"person {person}" for person in people}
    return Dataset(splits, dict(splits), names, REFUSALS)


def _rows(path: Path, split: str, problems: list[str]) -> list[Example]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read: {error}", str(path), "give a UTF-8 file") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            if not isinstance(fields, dict):
                raise ValueError(f"{line.strip()[:60]} is no object with question and answer")
            rows.append(
                Example(
                    id=f"{split}-{number}",
                    person=fields.get("person"),
                    track="text",
                    task="qa",
                    question=fields["question"],
                    answer=fields["answer"],
                    source=f"{path.name}:{number}",
                )
            )
        except KeyError as error:
            problems.append(f"{path.name}:{number}: no field {error}")
        except ValidationError as error:
            problems += bad_fields(error, f"{path.name}:{number}")
        except ValueError as error:
            problems.append(f"{path.name}:{number}: {error}")
    return rows
