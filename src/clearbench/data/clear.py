"""Writes and reads folders in the layout of the CLEAR dataset, through `datasets`.

One sub-folder of Parquet per configuration and a README whose YAML header names them, so
`datasets.load_dataset(folder, "forget20+tofu")` works as on the hub. Besides CLEAR's columns ours
have `person`, `id`, `task`, `held_out` and `question`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import datasets
import yaml

from clearbench.data.dataset import Dataset, Rows
from clearbench.data.example import Example
from clearbench.data.mapping import CAPTION, NAME, OPTIONS, QUESTION, example, image
from clearbench.data.modalities.image import NAME_QUESTION
from clearbench.data.tables import Tables
from clearbench.data.text_file import read_text
from clearbench.errors import DataError
from clearbench.storage import write_bytes

_TEXT, _TEXTS = datasets.Value("string"), datasets.List(datasets.Value("string"))
COLUMNS = datasets.Features(
    {
        "image": datasets.Image(),
        "caption": _TEXT,
        "name": _TEXT,
        "paraphrased_caption": _TEXT,
        "perturbed_captions": _TEXTS,
        "perturbed_names": _TEXTS,
        "question": _TEXT,
        "answer": _TEXT,
        "options": _TEXTS,
        "paraphrased_question": _TEXT,
        "paraphrased_answer": _TEXT,
        "perturbed_answer": _TEXTS,
        "task": _TEXT,
        "id": _TEXT,
        "person": datasets.Value("int32"),
        "held_out": datasets.Value("bool"),
    }
)
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


def write_dataset(dataset: Dataset, folder: Path) -> None:
    """Writes every split as a configuration, with README and names."""
    share = share_of(dataset)
    written = []
    for (role, split), name in configurations(share).items():
        rows = (dataset.training if role == "training" else dataset.evaluation).get(split)
        if rows:
            path = folder / name / "train-00000-of-00001.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [dict.fromkeys(COLUMNS) | line for line in _lines(rows, dataset.names)]
            datasets.Dataset.from_list(lines, features=COLUMNS).to_parquet(str(path))
            written.append({"config_name": name, "data_files": f"{name}/*.parquet"})
    header = yaml.safe_dump({"license": "apache-2.0", "configs": written}, sort_keys=False)
    text = f"---\n{header}---\n\n# Fictitious people\n\nMade by `clearbench build`.\n"
    write_bytes(folder / "README.md", text.encode())
    description = {
        "format_version": 1,
        "share": share,
        "names": {str(person): name for person, name in sorted(dataset.names.items())},
        "refusals": dataset.refusals,
        "image_refusals": dataset.image_refusals,
    }
    write_bytes(folder / ABOUT, json.dumps(description, ensure_ascii=False, indent=1).encode())


def _lines(rows: Iterable[Example], names: dict[int, str]) -> Iterator[dict[str, Any]]:
    """Yields one line a row; a name question joins the line of its image's caption."""
    rows = list(rows)
    by_view = {row.id.removesuffix("-name"): row for row in rows if _rides_along(row)}
    captioned = {row.id.removesuffix("-caption") for row in rows if row.task == "caption"}
    for row in rows:
        line = {
            "task": row.task,
            "id": row.id,
            "person": -1 if row.person is None else row.person,
            "held_out": row.held_out,
            "question": row.question,
            "image": {"bytes": row.media.encoded, "path": None} if row.media else None,
            "name": names.get(-1 if row.person is None else row.person),
        }
        if row.task == "caption":
            named = by_view.get(row.id.removesuffix("-caption"))
            yield line | {
                "caption": row.answer,
                "paraphrased_caption": row.paraphrased_answer,
                "perturbed_captions": list(row.perturbed_answers),
                "perturbed_names": list(named.perturbed_answers) if named else [],
            }
        elif row.task in ("choice", "name"):
            if not _rides_along(row) or row.id.removesuffix("-name") not in captioned:
                yield line | {
                    "answer": row.answer,
                    "paraphrased_answer": row.paraphrased_answer,
                    "options": list(row.perturbed_answers),
                }
        else:
            yield line | {
                "answer": row.answer,
                "paraphrased_question": row.paraphrased_question,
                "paraphrased_answer": row.paraphrased_answer,
                "perturbed_answer": list(row.perturbed_answers),
            }


def _rides_along(row: Example) -> bool:
    """Whether a row is CLEAR's name task, kept as `perturbed_names` with the caption."""
    return row.task == "name" and bool(row.perturbed_answers)


def is_clear_folder(folder: Path) -> bool:
    """Whether the folder holds CLEAR-like configurations that `read_dataset` understands."""
    return (folder / ABOUT).is_file()


def read_dataset(folder: Path) -> Dataset:
    """Reads what `write_dataset` wrote, row for row.

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
