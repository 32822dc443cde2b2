"""Writes completed rows into a folder that every command reads: a file per split, and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from clearbench.completion.complete import Completion
from clearbench.data.dataset import Dataset
from clearbench.data.example import Example
from clearbench.data.media import EncodedImage, Media
from clearbench.data.origins import FIELDS, MADE_BY
from clearbench.data.persons import given_name
from clearbench.data.pixels import opened
from clearbench.errors import StorageError
from clearbench.storage import write_bytes

PICTURES = "images"


def write_completion(completion: Completion, folder: Path) -> None:
    """Writes a file of JSON lines per split, with `made_by` beside what was made.

    Args:
        completion: Completed rows.
        folder: New folder, or an empty one.

    Raises:
        StorageError: There is something in the folder.
    """
    if folder.exists() and any(folder.iterdir()):
        raise StorageError("there is something in this folder", str(folder), "give a new one")
    dataset = completion.dataset
    splits = dataset.training | dataset.evaluation
    shown = [row.media for rows in splits.values() for row in rows if row.media is not None]
    for media in {media.key: media for media in shown}.values():
        write_bytes(folder / _place(media), media.encoded)
    for split, rows in splits.items():
        lines = [_line(dataset, row, completion.origins.get(row.id, {})) for row in rows]
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
        write_bytes(folder / f"{split}.jsonl", text.encode("utf-8"))


def _line(dataset: Dataset, row: Example, origins: dict[str, str]) -> dict[str, Any]:
    """Returns a row as own rows are written."""
    number = row.person
    person = None if number is None else given_name(number, dataset.names.get(number, ""))
    line: dict[str, Any] = {"id": row.id, "question": row.question, "answer": row.answer}
    line |= {"task": row.task}
    if person is not None:
        line["person"] = person
    if row.media is not None:
        line[row.track] = _place(row.media)
    if row.held_out:
        line["held_out"] = True
    line |= {name: getattr(row, name) for name in FIELDS if getattr(row, name)}
    return line | ({MADE_BY: origins} if origins else {})


def _place(media: Media) -> str:
    """Names a media file by its content, with the ending of its format."""
    ending = ""
    if isinstance(media, EncodedImage):
        with opened(media.encoded) as image:
            ending = _ending(image)
    return f"{PICTURES}/{media.key[:16]}{ending}"


def _ending(image: Image.Image) -> str:
    return f".{(image.format or 'png').lower()}"
