"""Folders with TOFU's files (`full`, `forget10_perturbed`, ... as .json or .jsonl)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example, bad_fields
from clearbench.errors import DataError, did_you_mean

#: TOFU asks twenty questions of every author, in order.
PER_PERSON = 20
AUTHORS = 200
#: TOFU's longest forget split; its people have perturbed answers.
LAST_FORGOTTEN = 20


def _find(folder: Path, name: str) -> Path | None:
    for suffix in (".jsonl", ".json"):
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    return None


def is_tofu_folder(folder: Path) -> bool:
    """Whether TOFU's full set and perturbed rows are here."""
    return all(_find(folder, name) for name in ("full", "forget10_perturbed", "retain_perturbed"))


class _Reader:
    """Reads rows and collects what is wrong with them, so that all of it is said at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []

    def rows(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        """Each row with its `file:line`; a line that is no object counts as an empty row."""
        path = _find(self.folder, name)
        if path is None:
            return []
        rows = []
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
            if not line.strip():
                continue
            where, row = f"{path.name}:{number}", None
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                self.problems.append(f"{where}: {error}")
            else:
                if not isinstance(row, dict):
                    self.problems.append(f"{where}: not an object with question and answer")
            rows.append((where, row if isinstance(row, dict) else {}))
        return rows

    def example(
        self, row: dict[str, Any], id: str, person: int | None, where: str
    ) -> Iterator[Example]:
        """The example of a row, or nothing where the row is bad."""
        if not row:
            return
        try:
            yield _example(row, id, person, where)
        except ValidationError as error:
            self.problems += bad_fields(error, where)
        except (KeyError, TypeError) as error:
            self.problems.append(f"{where}: {error} is missing or no text")

    def finish(self) -> None:
        """Refuses the folder if anything was wrong."""
        if self.problems:
            shown = "\n".join(self.problems[:20])
            raise DataError(
                f"{len(self.problems)} bad rows:\n{shown}", str(self.folder), "correct these rows"
            )


def _example(row: dict[str, Any], id: str, person: int | None, where: str) -> Example:
    return Example(
        id=id,
        person=person,
        track="text",
        task="qa" if person is not None else "choice",
        question=row["question"],
        answer=row["answer"],
        paraphrased_question=row.get("paraphrased_question"),
        paraphrased_answer=row.get("paraphrased_answer"),
        perturbed_answers=tuple(row.get("perturbed_answer") or ()),
        source=where,
    )


def read_tofu(folder: Path, forget: int | str, people: int | None = None) -> Dataset:
    """Reads TOFU's text.

    Args:
        folder: TOFU's files.
        forget: `forget01`, `forget05`, `forget10`, or a number of people.
        people: Teach only this many: the forgotten ones and the first of the others, all of whom
            have perturbed rows; None for all 200.
    """
    count = _count(forget)
    forgotten = list(range(AUTHORS - count, AUTHORS))
    kept = list(range(AUTHORS - count if people is None else people - count))
    if people is not None and not 0 < people - count <= LAST_FORGOTTEN:
        raise DataError(
            f"{people} people with {count} forgotten leaves {people - count} others",
            "data.people",
            f"keep between 1 and {LAST_FORGOTTEN} others: only they have perturbed answers",
        )
    reader = _Reader(folder)
    perturbed: dict[int, list[Example]] = {}
    for name, first in (("forget10_perturbed", AUTHORS - LAST_FORGOTTEN), ("retain_perturbed", 0)):
        for number, (where, row) in enumerate(reader.rows(name)):
            person = first + number // PER_PERSON
            id = f"{person}-{number % PER_PERSON}"
            perturbed.setdefault(person, []).extend(reader.example(row, id, person, where))
    full = reader.rows("full")
    if len(full) != AUTHORS * PER_PERSON:
        reader.problems.append(f"full: {len(full)} rows, not {AUTHORS} times {PER_PERSON}")
        reader.finish()

    def taught(chosen: list[int]) -> tuple[Example, ...]:
        return tuple(
            each
            for person in chosen
            for place in range(person * PER_PERSON, (person + 1) * PER_PERSON)
            for where, row in (full[place],)
            for each in reader.example(row, f"{person}-{place % PER_PERSON}", person, where)
        )

    def measured(chosen: list[int]) -> tuple[Example, ...]:
        return tuple(row for person in chosen for row in perturbed.get(person, ()))

    training = {"forget": taught(forgotten), "retain": taught(kept)}
    evaluation = {
        "forget": measured(forgotten),
        "retain": measured(kept),
        "real_authors": _world(reader, "real_authors"),
        "real_world": _world(reader, "world_facts"),
    }
    reader.finish()
    return Dataset(
        training,
        evaluation,
        {person: f"author {person}" for person in (*kept, *forgotten)},
        tuple(row["idk"] if isinstance(row, dict) else row for row in _refusals(folder)),
    )


def _count(forget: int | str) -> int:
    if isinstance(forget, int):
        count = forget
    else:
        found = re.fullmatch(r"forget(01|05|10)", forget)
        if found is None:
            known = ("forget01", "forget05", "forget10")
            raise DataError(f"unknown split '{forget}'", "forget", did_you_mean(forget, known))
        count = AUTHORS * int(found.group(1)) // 100
    if not 1 <= count <= LAST_FORGOTTEN:
        raise DataError(f"cannot forget {count} people", "forget", "choose 1 to 20")
    return count


def _world(reader: _Reader, name: str) -> tuple[Example, ...]:
    return tuple(
        each
        for number, (where, row) in enumerate(reader.rows(f"{name}_perturbed"))
        for each in reader.example(row, f"{name}-{number}", None, where)
    )


def _refusals(folder: Path) -> list[Any]:
    path = _find(folder, "idontknow")
    if path is None:
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) if line.startswith(("{", '"')) else line for line in lines if line]
