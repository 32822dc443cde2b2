"""Writes and reads a dataset folder that keeps every field of every row, whatever its modality.

`rows.parquet` has a line per row and `media.parquet` one per different media file;
`dataset.json` has the splits, the names and the refusals. Other tools read `clear.py`'s layout,
this one is for stages of runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from clearbench.data.dataset import Dataset, Rows
from clearbench.data.example import Example, bad_fields
from clearbench.data.media import Media
from clearbench.data.modality import modality, modality_of
from clearbench.data.text_file import read_text
from clearbench.errors import DataError
from clearbench.storage import write_bytes

ROWS, MEDIA, ABOUT = "rows.parquet", "media.parquet", "dataset.json"
FORMAT = 1
_ROLES = ("training", "evaluation")
_STRINGS = pa.list_(pa.string())
_ROW_SCHEMA = pa.schema(
    [
        ("role", pa.string()),
        ("split", pa.string()),
        ("id", pa.string()),
        ("person", pa.int64()),
        ("track", pa.string()),
        ("task", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("media", pa.string()),
        ("paraphrased_question", pa.string()),
        ("paraphrased_answer", pa.string()),
        ("perturbed_answers", _STRINGS),
        ("held_out", pa.bool_()),
        ("source", pa.string()),
    ]
)
_MEDIA_SCHEMA = pa.schema(
    [("key", pa.string()), ("modality", pa.string()), ("encoded", pa.large_binary())]
)


#: Errors that a file `write_rows` did not write may raise.
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, pa.ArrowException)


def write_rows(dataset: Dataset, folder: Path) -> None:
    """Writes a dataset so that `read_rows` gives an equal one; the same rows give the same bytes.

    Args:
        dataset: Any dataset.
        folder: Folder to write; made where it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, Any]] = []
    media: dict[str, Media] = {}
    splits: dict[str, list[str]] = {}
    for role in _ROLES:
        rows: Rows = getattr(dataset, role)
        splits[role] = list(rows)
        for split, examples in rows.items():
            for row in examples:
                key = row.media.key if row.media else None
                if row.media:
                    media[row.media.key] = row.media
                about = row.model_dump(exclude={"media"})
                lines.append(about | {"role": role, "split": split, "media": key})
    files = [
        {"key": key, "modality": modality_of(content).name, "encoded": content.encoded}
        for key, content in media.items()
    ]
    pq.write_table(pa.Table.from_pylist(lines, _ROW_SCHEMA), folder / ROWS)
    pq.write_table(pa.Table.from_pylist(files, _MEDIA_SCHEMA), folder / MEDIA, compression="none")
    about_all = {
        "format": FORMAT,
        "splits": splits,
        "names": {str(person): name for person, name in dataset.names.items()},
        "refusals": dataset.refusals,
        "image_refusals": dataset.image_refusals,
        "doubts": dataset.doubts,
    }
    text = json.dumps(about_all, ensure_ascii=False, indent=1)
    write_bytes(folder / ABOUT, text.encode())


def is_rows_folder(folder: Path) -> bool:
    """Whether `write_rows` wrote this folder."""
    return (folder / ABOUT).is_file() and (folder / ROWS).is_file()


def read_rows(folder: Path) -> Dataset:
    """Reads what `write_rows` wrote, row for row.

    Raises:
        DataError: A file is missing, broken or of another format, or rows in it are bad.
    """
    try:
        about = json.loads(read_text(folder / ABOUT, "build it again"))
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']}, not {FORMAT}")
        splits: dict[str, Rows] = {
            role: {str(split): () for split in about["splits"][role]} for role in _ROLES
        }
        names = {int(person): str(name) for person, name in about["names"].items()}
        refusals, image_refusals = tuple(about["refusals"]), tuple(about["image_refusals"])
        doubts = tuple(about.get("doubts", ()))
        media = _read_media(folder / MEDIA)
        lines = _table(folder / ROWS, _ROW_SCHEMA).to_pylist()
        groups: dict[tuple[str, str], list[Example]] = {}
        for number, line in enumerate(lines):
            place = (line.pop("role"), line.pop("split"))
            groups.setdefault(place, []).append(_example(line, media, f"{ROWS}:{number}"))
        for (role, split), rows in groups.items():
            splits[role][split] = tuple(rows)
    except _UNREADABLE as error:
        raise DataError(f"cannot read: {error}", str(folder), "make it again") from error
    return Dataset(
        splits["training"], splits["evaluation"], names, refusals, image_refusals, doubts
    )


def _read_media(path: Path) -> dict[str, Media]:
    media: dict[str, Media] = {}
    for line in _table(path, _MEDIA_SCHEMA).to_pylist():
        kind = modality(line["modality"]).media
        if kind is None:
            raise ValueError(f"the modality '{line['modality']}' has no media")
        media[line["key"]] = kind(encoded=line["encoded"])
    return media


def _table(path: Path, schema: pa.Schema) -> pa.Table:
    """Reads the columns of a schema, empty where they are missing; `pq.read_table` loads pandas."""
    with pq.ParquetFile(path) as file:
        found = file.read()
    columns = [
        found[field.name].cast(field.type)
        if field.name in found.column_names
        else pa.nulls(len(found), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _example(line: dict[str, Any], media: Mapping[str, Media], where: str) -> Example:
    key = line.pop("media")
    line["perturbed_answers"] = tuple(line["perturbed_answers"] or ())
    try:
        return Example(**line, media=None if key is None else media[key])
    except ValidationError as error:
        raise ValueError("\n".join(bad_fields(error, where))) from error
