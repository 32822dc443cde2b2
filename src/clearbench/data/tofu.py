"""Folders with TOFU's files (`full`, `forget10_perturbed`, ... as .json or .jsonl)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
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


def _read(folder: Path, name: str) -> list[dict[str, Any]]:
    path = _find(folder, name)
    if path is None:
        return []
    rows, problems = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            problems.append(f"{path.name}:{number + 1}: {error}")
    if problems:
        raise DataError("\n".join(problems), str(path), "one JSON object a line")
    return rows


def _example(row: dict[str, Any], id: str, person: int | None, where: str) -> Example:
    try:
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
    except (KeyError, ValueError) as error:
        raise DataError(f"bad row: {error}", where, "give question and answer as text") from error


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
    perturbed: dict[int, list[Example]] = {}
    for name, first in (("forget10_perturbed", AUTHORS - LAST_FORGOTTEN), ("retain_perturbed", 0)):
        for number, row in enumerate(_read(folder, name)):
            person = first + number // PER_PERSON
            each = _example(row, f"{person}-{number % PER_PERSON}", person, f"{name}:{number}")
            perturbed.setdefault(person, []).append(each)
    full = _read(folder, "full")

    def taught(chosen: list[int]) -> tuple[Example, ...]:
        return tuple(
            _example(full[place], f"{person}-{place % PER_PERSON}", person, f"full:{place}")
            for person in chosen
            for place in range(person * PER_PERSON, (person + 1) * PER_PERSON)
        )

    def measured(chosen: list[int]) -> tuple[Example, ...]:
        return tuple(row for person in chosen for row in perturbed.get(person, ()))

    return Dataset(
        {"forget": taught(forgotten), "retain": taught(kept)},
        {
            "forget": measured(forgotten),
            "retain": measured(kept),
            "real_authors": _world(folder, "real_authors"),
            "real_world": _world(folder, "world_facts"),
        },
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


def _world(folder: Path, name: str) -> tuple[Example, ...]:
    rows = _read(folder, f"{name}_perturbed")
    return tuple(
        _example(row, f"{name}-{number}", None, f"{name}_perturbed:{number}")
        for number, row in enumerate(rows)
    )


def _refusals(folder: Path) -> list[Any]:
    path = _find(folder, "idontknow")
    if path is None:
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) if line.startswith(("{", '"')) else line for line in lines if line]
