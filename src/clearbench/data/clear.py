"""Reads folders that `clearbench build` wrote, in the layout of the CLEAR dataset.

One sub-folder of Parquet per configuration and a README whose YAML header names them, so
`datasets.load_dataset(folder, "forget20+tofu")` works as on the hub. Besides CLEAR's columns ours
have `person`, `id`, `task`, `held_out` and `question`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clearbench.data.dataset import Dataset, Rows
from clearbench.data.example import Example
from clearbench.data.mapping import CAPTION, NAME, OPTIONS, QUESTION, example, image
from clearbench.data.modalities.image import NAME_QUESTION
from clearbench.data.tables import Tables
from clearbench.data.text_file import read_text
from clearbench.errors import DataError

#: File with names, refusals and the share of forgotten people.
ABOUT = "clearbench.json"


def configurations(share: int) -> dict[tuple[str, str], str]:
    """Maps every (role, split) to CLEAR's configuration name, for a forget share in percent."""
    return {
        ("training", "forget"): f"forget{share:02d}+tofu",
        ("training", "retain"): f"retain{100 - share:02d}+tofu",
        ("training", "replay"): "replay+tofu",
        ("evaluation", "forget"): f"forget{share:02d}_perturbed",
        ("evaluation", "retain"): "retain_perturbed",
        ("evaluation", "holdout"): "holdout_perturbed",
        ("evaluation", "real_faces"): "real_faces",
        ("evaluation", "real_authors"): "real_authors",
        ("evaluation", "real_world"): "real_world",
    }


def share_of(dataset: Dataset) -> int:
    """Computes the share of forgotten people among all trained ones, in percent."""
    forget, retain = dataset.people("forget"), dataset.people("retain")
    return round(100 * len(forget) / max(1, len(forget) + len(retain)))


def is_clear_folder(folder: Path) -> bool:
    """Whether the folder holds CLEAR-like configurations that `read_dataset` understands."""
    return (folder / ABOUT).is_file()


def read_dataset(folder: Path) -> Dataset:
    """Reads what `write_clear.write_dataset` wrote, row for row.

    Raises:
        DataError: Rows are bad; each is listed with file, row, field, value and fix.
    """
    try:
        about = json.loads(read_text(folder / ABOUT, "build it again"))
        names = {int(person): str(name) for person, name in about["names"].items()}
        refusals, shown_refusals = tuple(about["refusals"]), tuple(about["image_refusals"])
        parts = configurations(int(about["share"]))
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"cannot read: {error}", str(folder / ABOUT), "build it again") from error
    tables = Tables(folder)
    rows: dict[str, Rows] = {"training": {}, "evaluation": {}}
    for (role, split), name in parts.items():
        if name in tables.names:
            rows[role][split] = tuple(_examples(tables, name))
    tables.refuse()
    return Dataset(rows["training"], rows["evaluation"], names, refusals, shown_refusals)


def _examples(tables: Tables, name: str) -> Iterator[Example]:
    """Yields the examples of every line: a caption may carry the name question of its image."""
    for number, (where, line) in enumerate(tables.rows(name)):
        seen = image(line, where, tables.problems, tables.folder)
        person, task = line.get("person"), line.get("task")
        common: dict[str, Any] = {
            "id": line.get("id") or f"{name}-{number}",
            "person": None if person is None or person < 0 else person,
            "track": "image" if seen else "text",
            "task": task,
            "image": seen,
            "held_out": bool(line.get("held_out")),
        }
        columns = CAPTION if task == "caption" else OPTIONS if task != "qa" else QUESTION
        yield from example(line, columns, where, tables.problems, **common)
        if task == "caption" and line.get("perturbed_names"):
            asked = {
                "id": common["id"].removesuffix("-caption") + "-name",
                "question": NAME_QUESTION,
            }
            named = common | asked | {"task": "name"}
            yield from example(line, NAME, where, tables.problems, **named)
