"""Writes folders in the layout of the CLEAR dataset, through `datasets`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import datasets
import yaml

from clearbench.data.clear import ABOUT, configurations, share_of
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
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
