"""Reads FIUBench as published: faces with questions in `full.json`, and people by split."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from clearbench.data.dataset import Dataset
from clearbench.data.json_rows import Line
from clearbench.data.mapping import image
from clearbench.data.profiles import Asked, Profile, divided, entries
from clearbench.data.tables import Tables
from clearbench.data.text_file import read_text
from clearbench.errors import DataError, did_you_mean

#: Configuration of all people, and file of the published ids by split.
FULL, SPLITS = "full", "split.json"
#: Number of people that the authors' code reads, from the first.
PEOPLE = 400


def is_fiubench(folder: Path) -> bool:
    """Whether a folder has FIUBench's people and splits."""
    return (folder / f"{FULL}.json").is_file() and (folder / SPLITS).is_file()


def read_fiubench(tables: Tables, forget: str, retain: str | None, all_measured: bool) -> Dataset:
    """Reads faces and their questions.

    Kept are the people of no forget split at all, as in the authors' code; of them those of a
    retain split are measured.

    Args:
        tables: Folder with `full.json`, `split.json` and the pictures.
        forget: A forget split, such as `forget5`.
        retain: Split of the kept people who are measured; by default the one with the forget
            split's number, and everybody where there is none.
        all_measured: True if all kept people are measured.

    Raises:
        DataError: Rows are bad, which are all listed, or a split is missing.
    """
    splits = _splits(tables.folder / SPLITS)
    people = _people(tables)
    for name, ids in splits.items():
        unknown = sorted(ids - {profile.id for profile in people})
        if unknown:
            shown = ", ".join(unknown[:3])
            tables.problems.append(f"{SPLITS}: {name}: not in {FULL}.json: {shown}")
    tables.refuse()
    gone = _chosen(splits, forget)
    others = set[str]().union(*(ids for name, ids in splits.items() if name.startswith("forget")))
    named = retain or forget.replace("forget", "retain")
    asked = _chosen(splits, named) if retain or named in splits else None
    kept = [profile for profile in people if profile.id not in others]
    measured = kept if all_measured or asked is None else [p for p in kept if p.id in asked]
    silent = {profile.id for profile in kept} - {profile.id for profile in measured}
    doubts = _doubts(others - gone, len(measured), len(kept))
    return divided(
        tables,
        [profile for profile in people if profile.id in gone],
        [_unmeasured(profile) if profile.id in silent else profile for profile in kept],
        doubts=doubts,
    )


def _doubts(left: set[str], measured: int, kept: int) -> list[str]:
    doubts = []
    if left:
        doubts.append(
            f"{len(left)} people of other forget splits are neither forgotten nor kept, as in the "
            "authors' code"
        )
    if measured < kept:
        doubts.append(f"{measured} of the {kept} people who are kept are measured")
    return doubts


def _splits(path: Path) -> dict[str, set[str]]:
    """Reads the ids of each split."""
    try:
        content = json.loads(read_text(path))
        splits = {str(name): {str(id) for id in ids} for name, ids in content.items()}
    except (ValueError, RecursionError, TypeError, AttributeError) as error:
        fix = "give an object of splits, each with a list of ids"
        raise DataError(f"cannot read the splits: {error}", str(path), fix) from error
    return splits


def _chosen(splits: dict[str, set[str]], name: str) -> set[str]:
    if name not in splits:
        raise DataError(f"unknown split '{name}'", SPLITS, did_you_mean(name, splits))
    return splits[name]


def _people(tables: Tables) -> list[Profile]:
    found = []
    for where, line in list(tables.rows(FULL))[:PEOPLE]:
        id = str(line.get("unique_id") or "").strip()
        if line and not id:
            value = line.get("unique_id")
            tables.problems.append(f"{where}: unique_id = {value!r}: give every person an id")
        if not id:
            continue
        shown = {"image": _path(line.get("image_path"), tables.folder)}
        picture = image(shown, where, tables.problems, tables.folder)
        questions = tuple(_questions(line, where, tables.problems))
        name = str(line.get("name") or id)
        found.append(Profile(id, name, where, picture, questions, questions))
    return found


def _questions(line: Line, where: str, problems: list[str]) -> Iterable[Asked]:
    for place, entry in entries(line.get("qa_list"), list, "qa_list", where, problems):
        further = {
            "paraphrased_question": _first(entry.get("paraphrased_question")),
            "paraphrased_answer": _first(entry.get("paraphrased_answer")),
            "perturbed_answers": _all(entry.get("perturbed_answer")),
        }
        question, answer = entry.get("question"), entry.get("answer")
        yield Asked("generation", True, place, question, answer, further=further)


def _all(value: Any) -> Any:
    """Returns the texts of a field that holds one or several."""
    return () if value is None else (value,) if isinstance(value, str) else value


def _first(value: Any) -> Any:
    """Returns the first text of a field that holds one or several."""
    return (value[0] if value else None) if isinstance(value, list) else value


def _path(value: Any, folder: Path) -> Any:
    """Finds a picture that is named from another folder than that of the data."""
    parts = PurePosixPath(value).parts if isinstance(value, str) else ()
    ends = ("/".join(parts[k:]) for k in range(len(parts)) if parts[k] != "/")
    return next((end for end in ends if end and (folder / end).is_file()), value)


def _unmeasured(profile: Profile) -> Profile:
    where, picture = profile.where, profile.picture
    return Profile(profile.id, profile.name, where, picture, profile.taught, ())
